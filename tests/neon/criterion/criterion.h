/* What of Criterion unit/test_support.c uses, for a machine that Criterion is not installed for. */
#ifndef CRITERION_H
#define CRITERION_H

#include <stdio.h>
#include <string.h>

static void (*tests[64])(void);
static int count, wrong, failed;

#define Test(suite, name)                                                                                                \
    static void suite##_##name(void);                                                                                    \
    __attribute__((constructor)) static void add_##suite##_##name(void) { tests[count++] = suite##_##name; }             \
    static void suite##_##name(void)

#define cr_expect(condition, ...) ((condition) ? (void)0 : (void)(wrong++, printf("FAILED %s:%d: %s\n", __FILE__, __LINE__, #condition)))
#define cr_assert(condition, ...) cr_expect(condition)
#define cr_expect_eq(a, b, ...) cr_expect((a) == (b))
#define cr_expect_leq(a, b, ...) cr_expect((a) <= (b))
#define cr_assert_leq(a, b, ...) cr_expect((a) <= (b))
#define cr_expect_float_eq(a, b, off, ...) cr_expect(fabs((double)((a) - (b))) <= (double)(off))
#define cr_assert_arr_eq(a, b, size, ...) cr_expect(memcmp(a, b, size) == 0)

int main(void) {
    for (int i = 0; i < count; i++) {
        wrong = 0;
        tests[i]();
        failed += wrong > 0;
    }
    printf("%d passed, %d failed\n", count - failed, failed);
    return failed > 0;
}

#endif
