/* Numbers too small to be worth their time. */
#include "gdl.h"

#include <criterion/criterion.h>

#if defined(__x86_64__) || defined(__aarch64__)

Test(subnormal, results_and_operands_below_the_normal_range_are_zero) {
    volatile float small = 2e-38f, tenth = 0.1f, subnormal = small * tenth;
    cr_assert_gt(subnormal, 0.0f, "subnormal until it is asked for");
    gdl_flush_subnormals();
    cr_assert_eq(small * tenth, 0.0f);
    cr_assert_eq(subnormal * 1e10f, 0.0f);
    cr_assert_gt(small, 0.0f, "normal numbers stay");
}

#endif
