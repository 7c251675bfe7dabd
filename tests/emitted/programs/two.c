/* Two models in one program, one of them the small one again under another name. */
#include "one.h"
#include "two.h"

#include <stdio.h>
#include <string.h>

int main(void) {
    float a[4] = {0.0f}, b[4] = {1.0f};
    one *a_model = one_create(5);
    two *b_model = two_create(5);
    one_generate(a_model, 2, a);
    two_generate(b_model, 2, b);
    const int same = memcmp(a, b, sizeof a) == 0;
    one_free(a_model);
    two_free(b_model);
    puts(same ? "1 passed, 0 failed" : "FAILED two models of one text differ\n0 passed, 1 failed");
    return !same;
}
