/* What somebody may have meant who wrote a name that does not exist. */
#include "gdlc.h"

#include <ctype.h>
#include <string.h>

enum { LONGEST_NAME = 63 };

static int least(int a, int b)
{
    return a < b ? a : b;
}

static bool same_letter(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* Insertions, deletions, replacements and swaps of neighbours that lead from a to b, whatever the case of letters. */
static int edit_distance(const char *a, int a_length, const char *b, int b_length)
{
    int rows[3][LONGEST_NAME + 1], *before = rows[0], *last = rows[1], *row = rows[2];
    for (int j = 0; j <= b_length; j++)
        row[j] = j;
    for (int i = 1; i <= a_length; i++) {
        int *oldest = before;
        before = last, last = row, row = oldest;
        row[0] = i;
        for (int j = 1; j <= b_length; j++) {
            row[j] = least(least(last[j], row[j - 1]) + 1, last[j - 1] + !same_letter(a[i - 1], b[j - 1]));
            if (i > 1 && j > 1 && same_letter(a[i - 1], b[j - 2]) && same_letter(a[i - 2], b[j - 1]))
                row[j] = least(row[j], before[j - 2] + 1);
        }
    }
    return row[b_length];
}

/* The same but for the case of letters and for `_`, as BatchNorm and batch_norm. */
static bool same_word(const char *a, const char *b)
{
    for (;; a++, b++) {
        a += strspn(a, "_");
        b += strspn(b, "_");
        if (*a == '\0' || !same_letter(*a, *b))
            return *a == *b;
    }
}

static const char *find_name(const char *name, const char *const *candidates, int count)
{
    for (int i = 0; i < count; i++)
        if (strcmp(name, candidates[i]) == 0)
            return candidates[i];
    return NULL;
}

/* Names of Keras, PyTorch, NumPy and Python whose letters do not lead to those of this language. What is a name here for two things
 * stands twice: a candidate is one of them. */
static const char *translate(const char *name, const char *const *candidates, int count)
{
    static const struct { const char *there, *here; } names[] = {
        {"linear", "dense"}, {"batch_normalization", "batch_norm"}, {"layer_normalization", "layer_norm"},
        {"instance_normalization", "instance_norm"}, {"conv_transpose2d", "conv2d_transpose"}, {"avg_pool2d", "average_pool2d"},
        {"binary_crossentropy", "bce"}, {"bce_loss", "bce"}, {"categorical_crossentropy", "cce"}, {"cross_entropy", "cce"},
        {"sparse_categorical_crossentropy", "cce"}, {"mean_squared_error", "mse"}, {"mse_loss", "mse"},
        {"mean_absolute_error", "mae"}, {"l1_loss", "mae"}, {"kullback_leibler_divergence", "kl_divergence"},
        {"reduce_mean", "mean"}, {"reduce_sum", "sum"}, {"maximum", "max"}, {"minimum", "min"}, {"var", "variance"}, {"std", "stddev"},
        {"randn", "normal"}, {"rand", "uniform"}, {"cat", "concat"}, {"concatenate", "concat"}, {"stack", "stacked"},
        {"permute", "transpose"}, {"len", "size"}, {"clip_by_value", "clamp"}, {"stop_gradient", "stop"}, {"detach", "stop"},
        {"gradient", "grad"}, {"gradients", "grad"}, {"learning_rate", "lr"}, {"use_bias", "bias"}, {"alpha", "negative_slope"}, {"out_features", "units"},
        {"out_channels", "filters"}, {"p", "rate"}, {"loss", "minimize"}, {"batch_size", "batch"}, {"def", "fn"},
        {"function", "fn"}, {"const", "let"}, {"var", "let"}, {"model", "net"}};
    const char *found = NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names && found == NULL; i++)
        if (same_word(name, names[i].there))
            found = find_name(names[i].here, candidates, count);
    for (int i = 0; i < count && found == NULL; i++)
        if (same_word(name, candidates[i]))
            found = candidates[i];
    return found;
}

/* Near enough: one edit for three letters, and never a whole name. */
const char *nearest_name(const char *name, const char *const *candidates, int count)
{
    int length = (int)strlen(name), nearest = least(length < 3 ? 1 : length / 3, length - 1) + 1;
    const char *found = translate(name, candidates, count);
    if (length > LONGEST_NAME || found != NULL)
        return found;
    for (int i = 0; i < count; i++) {
        size_t other = strlen(candidates[i]);
        if (other > LONGEST_NAME || other < 2)
            continue;
        int distance = edit_distance(name, length, candidates[i], (int)other);
        if (distance < nearest) {
            nearest = distance;
            found = candidates[i];
        }
    }
    return found;
}
