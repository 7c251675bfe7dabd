/* The table of primitives, and what the elementwise ones compute. */
#include "gdlc.h"

#include <math.h>

static double evaluate_none(double a, double b, double c) { (void)a, (void)b, (void)c; return NAN; }

#define UNARY(name, formula) \
    static double evaluate_##name(double a, double b, double c) { (void)b, (void)c; return formula; }
#define BINARY(name, formula) \
    static double evaluate_##name(double a, double b, double c) { (void)c; return formula; }

UNARY(neg, -a)
UNARY(recip, 1 / a)
UNARY(sqrt, sqrt(a))
UNARY(exp, exp(a))
UNARY(log, log(a))
UNARY(tanh, tanh(a))
UNARY(sigmoid, a >= 0 ? 1 / (1 + exp(-a)) : exp(a) / (1 + exp(a)))
UNARY(softplus, (a > 0 ? a : 0) + log1p(exp(-fabs(a))))
UNARY(erf, erf(a))
UNARY(sin, sin(a))
UNARY(cos, cos(a))
UNARY(abs, fabs(a))
UNARY(sign, (a > 0) - (a < 0))
UNARY(floor, floor(a))
UNARY(round, nearbyint(a))
BINARY(add, a + b)
BINARY(mul, a * b)
BINARY(pow, pow(a, b))
BINARY(lt, a < b)
BINARY(le, a <= b)
BINARY(eq, a == b)

static double evaluate_select(double a, double b, double c) { return a != 0 ? b : c; }

#define OP(name, text, arity, class, evaluate, rule) void rule(Adjoints *adjoints, Node *node, Node *d);
#include "ops.def"
#undef OP

const OpInfo op_info[OP_COUNT] = {
#define OP(name, text, arity, class, evaluate, rule) [OP_##name] = { text, arity, CLASS_##class, evaluate, rule },
#include "ops.def"
#undef OP
};

bool op_has_gradient(Op op) { return op_info[op].differentiate != differentiate_zero; }
