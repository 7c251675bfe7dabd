/* The parser: what tree a text gives, and that printing a tree gives the same tree back.
 * What it says of broken texts is tested by tests/errors. */
#include "sexpr.h"

#include <criterion/criterion.h>
#include <glob.h>
#include <string.h>

static Context context;

static void setup(void) { context = (Context){.arena = arena_create()}; }
static void teardown(void) { arena_destroy(context.arena); }

TestSuite(parser, .init = setup, .fini = teardown);

static DeclList parsed(const char *text, size_t length)
{
    DeclList declarations = {0};
    parse(&context, source_add(&context, "test.gdl", text, length, false), &declarations);
    return declarations;
}

/* The tree of an expression. */
static const char *tree(const char *expression)
{
    const char *text = arena_printf(context.arena, "let a = %s\n", expression);
    DeclList declarations = parsed(text, strlen(text));
    Text result = {.arena = context.arena};
    diagnostics_print(&context, stderr);
    cr_assert_eq(declarations.count, 1, "%s", expression);
    sexpr(&result, declarations.items[0]->value);
    return result.bytes;
}

static const Decl *only(const char *text)
{
    DeclList declarations = parsed(text, strlen(text));
    diagnostics_print(&context, stderr);
    cr_assert_eq(error_count(&context), 0);
    cr_assert_eq(declarations.count, 1);
    return declarations.items[0];
}

Test(parser, precedence)
{
    static const char *const cases[][2] = {
        {"a + b * c - d", "(- (+ a (* b c)) d)"},
        {"a / b * c @ d", "(@ (* (/ a b) c) d)"},
        {"-x^2", "(- (^ x 2))"},
        {"a^-b^c", "(^ a (- (^ b c)))"},
        {"!-a * b", "(* (! (- a)) b)"},
        {"a + 1 < b ? c : d ? e : f", "(? (< (+ a 1) b) c (? d e f))"},
        {"a ? b |> f : c", "(? a (|> b f) c)"},
        {"a + b |> f |> g(1)", "(|> (|> (+ a b) f) (call g 1))"},
        {"f(x).y[0](z)", "(call (index (. (call f x) y) (at 0 ~ ~)) z)"},
        {"-f(x)^g.h", "(- (^ (call f x) (. g h)))"},
        {"(a |> f) + 1", "(+ (|> a f) 1)"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_str_eq(tree(cases[i][0]), cases[i][1], "%s", cases[i][0]);
}

Test(parser, stages)
{
    cr_expect_str_eq(tree("x |> f(1) as h |> g"), "(|> (|> x (as h (call f 1))) g)");
    cr_expect_str_eq(tree("x |> repeat 3 (f |> g) as tower |> h"), "(|> (|> x (as tower (repeat 3 (|> f g)))) h)");
    cr_expect_str_eq(tree("x |> repeat n (f)"), "(|> x (repeat n f))");
    cr_expect_str_eq(tree("x |> repeat (n + 1) (f as g |> h)"), "(|> x (repeat (+ n 1) (|> (as g f) h)))");
    cr_expect_str_eq(tree("f(x) as h"), "(as h (call f x))");
}

Test(parser, slices)
{
    cr_expect_str_eq(tree("x[0:3, ..., -1]"), "(index x (from 0 3 ~) (...) (at (- 1) ~ ~))");
    cr_expect_str_eq(tree("x[:, 1:, :2, ::2, a:b:c]"), "(index x (from ~ ~ ~) (from 1 ~ ~) (from ~ 2 ~) (from ~ ~ 2) (from a b c))");
    cr_expect_str_eq(tree("x[c ? 1 : 2 : 3]"), "(index x (from (? c 1 2) 3 ~))");
}

Test(parser, numbers_keep_their_kind)
{
    cr_expect_str_eq(tree("[1, 1.0, 1e3, 0.5, 9007199254740992]"), "(list 1 1f 1000f 0.5f 9007199254740992)");
}

Test(parser, keywords_are_names_after_a_point)
{
    cr_expect_str_eq(tree("a.state.net"), "(. (. a state) net)");
    cr_expect_str_eq(tree("f(param([3], g), axis = batch)"), "(call f (call param (list 3) g) axis=batch)");
}

Test(parser, a_sequential_net_is_a_net_of_x)
{
    const Decl *net = only("net f: [28, 28]\n    |> a(1)\n    |> b as c");
    Text value = {.arena = context.arena};
    sexpr(&value, net->value);
    cr_expect_str_eq(value.bytes, "(|> (|> x (call a 1)) (as c b))");
    cr_assert_eq(net->formals.count, 1);
    cr_expect_str_eq(net->formals.items[0].name.text, "x");
    cr_expect_eq(net->formals.items[0].shape->list.count, 2);
}

Test(parser, spans_cover_what_they_name)
{
    static const char text[] = "fn f(x) = g((x + 1) * 2)";
    const Expr *call = only(text)->value, *product = call->call.arguments.items[0].value;
    cr_expect_eq(call->span.start, (int)strcspn(text, "g"));
    cr_expect_eq(call->span.end, (int)strlen(text));
    cr_expect_eq(text[product->span.start], '(');
    cr_expect_eq(text[product->span.end - 1], '2');
    cr_expect_eq(text[product->binary.op_span.start], '*');
}

Test(parser, declarations_without_mistakes_are_kept)
{
    static const char text[] = "let a = 1\nlet b = )\nlayer f(x) {\n    y = )\n    return x\n}\nlet c = 3\n";
    DeclList declarations = parsed(text, strlen(text));
    cr_expect_eq(error_count(&context), 2);
    cr_assert_eq(declarations.count, 3);
    cr_expect_str_eq(declarations.items[2]->name.text, "c");
    cr_expect_eq(declarations.items[1]->body.count, 1);
}

Test(parser, depth_is_bounded)
{
    Text text = {.arena = context.arena};
    text_add(&text, "let a = 1");
    for (int i = 0; i < MAX_NESTING - 1; i++)
        text_add(&text, " + 1");
    const Decl *deep = only(text.bytes);
    cr_expect_eq(deep->value->depth, MAX_NESTING);
    text_add(&text, " + 1");
    parsed(text.bytes, text.length);
    cr_expect_eq(error_count(&context), 1);
}

/* ── Round trip ───────────────────────────────────────────────────────────────────────────── */

static const char *tree_of(const DeclList *declarations)
{
    Text text = {.arena = context.arena};
    sexpr_declarations(&text, declarations);
    return text.bytes;
}

/* Whether the text had no errors; then its printed form must give the same tree. */
static bool comes_back(const char *name, const char *text, size_t length)
{
    DeclList first = parsed(text, length);
    Text printed = {.arena = context.arena};
    if (error_count(&context) > 0)
        return false;
    ast_print(&printed, &first);
    DeclList second = parsed(printed.bytes, printed.length);
    diagnostics_print(&context, stderr);
    cr_assert_eq(error_count(&context), 0, "%s: what is printed has errors:\n%s", name, printed.bytes);
    cr_expect_str_eq(tree_of(&second), tree_of(&first), "%s: printed as\n%s", name, printed.bytes);
    return true;
}

Test(parser, printing_keeps_every_form)
{
    static const char text[] =
        "import \"nets.gdl\"\n"
        "let a = -(-1)^2 + (1 - (2 - 3)) * (4 / (5 * 6)) ^ -7 - 1e-7 * 0.1 / 123456.5\n"
        "let b = (a < b) == (c ? (d |> f) : e) ? (f ? 1 : 2) : [1, ..., (g |> h)]\n"
        "let c = (a as b) as c\n"
        "let d = repeat (batch) (f) |> (g |> h) |> (repeat 2 (f)) |> (a + b) as c |> k[1:2, ::3, (a ? b : c):d](x = 1, 2)\n"
        "param w: [784, 64] ~ normal(0.01)\n"
        "dim time = 1..64\n"
        "fn f(x, y = 2, z: [..., n] = zeros([n])) = x.net.state * 2.0\n"
        "net g: class[10] |> embedding(50) as e |> f\n"
        "net h(x: [], label: class[n + 1]) { return x, label }\n"
        "export generate() = g(normal([30]))\n"
        "optimizer sgd(lr = 0.1) for w, g { state v: [2] = 0 w <- w - lr * g }\n"
        "layer r(x: [t, n]) {\n"
        "    scan reverse xt, yt in x, y with h = 0, c = 1 { h <- !h collect h, c }\n"
        "    scan xt in x { collect -xt }\n"
        "    a, b = split(x, 2) add_loss sum(a @ b != 0)\n"
        "    return a\n"
        "}\n"
        "train t(x: [3]) {\n"
        "    batch 32 epochs 2 * 3\n"
        "    phase p { minimize x >= 1 metric m = x <= 2 }\n"
        "    phase q repeat 5 { update a, b.c using sgd(lr = 1) clip a to -0.01, 0.01 }\n"
        "}\n";
    cr_expect(comes_back("every form", text, strlen(text)));
}

/* Criterion runs each test in a process of its own, in the top folder. */
Test(parser, printing_keeps_every_model)
{
    glob_t files;
    int models = 0;
    cr_assert_eq(glob("models/*.gdl", 0, NULL, &files), 0);
    cr_assert_eq(glob("compiler/*.gdl", GLOB_APPEND, NULL, &files), 0);
    cr_assert_eq(glob("tests/*/*.gdl", GLOB_APPEND, NULL, &files), 0);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        size_t length;
        const char *text = file_read(context.arena, files.gl_pathv[i], &length);
        cr_assert_not_null(text, "%s", files.gl_pathv[i]);
        context.diagnostics = NULL;
        models += comes_back(files.gl_pathv[i], text, length);
    }
    cr_expect_gt(models, 5);
    globfree(&files);
}

/* The examples of the reference are correct: at least as far as their syntax goes. */
Test(parser, the_reference_is_true)
{
    static const char start[] = "```gdl\n", end[] = "\n```";
    size_t length;
    int examples = 0;
    const char *text = file_read(context.arena, "compiler/README.md", &length);
    cr_assert_not_null(text);
    while ((text = strstr(text, start)) != NULL) {
        text += strlen(start);
        parsed(text, (size_t)(strstr(text, end) + 1 - text));
        examples++;
    }
    diagnostics_print(&context, stderr);
    cr_expect_eq(error_count(&context), 0);
    cr_expect_gt(examples, 5);
}
