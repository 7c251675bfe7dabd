/* An entry point as a method of Python: one line for each value that the model names, that is used more than once, or whose
 * expression would grow too long; all others stand where they are used. */
#include "torch.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

enum { INLINE_LENGTH = 60, SHORT_LENGTH = 12 }; /* characters of an expression, and of a number, that may stand inside of others */

/* ── names ────────────────────────────────────────────────────────────────────────────────── */

/* Words of Python, and the names that methods use themselves. */
static bool is_reserved(const char *name) {
    static const char *const words[] = {
        "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del", "elif", "else", "except",
        "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try",
        "while", "with", "yield", "self", "torch", "nn", "F", "n", "step", "epoch", "convolve"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(words[i], name) == 0) return true;
    return false;
}

static bool is_taken(const Method *method, const char *name) {
    for (int i = 0; i < method->names.count; i++)
        if (strcmp(method->names.items[i], name) == 0) return true;
    return is_reserved(name);
}

/* z; then z_2, z_3. */
const char *new_name(Method *method, const char *wish) {
    char *base = arena_copy(method->arena, wish, strlen(wish));
    for (char *c = base; *c; c++)
        if (!isalnum((unsigned char)*c)) *c = '_';
    const char *name = base;
    for (int number = 2; is_taken(method, name); number++) name = arena_printf(method->arena, "%s_%d", base, number);
    LIST_PUSH(method->arena, &method->names, name);
    return name;
}

/* ── lines ────────────────────────────────────────────────────────────────────────────────── */

void write_line(Method *method, const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *line = arena_alloc(method->arena, (size_t)length + 1);
    vsnprintf(line, (size_t)length + 1, format, again);
    va_end(again);
    text_add(&method->body, "%*s%s\n", method->frame.indent, "", line);
}

/* The line of the model that asked for the node, as a comment before its first value; not its own comment, which may hold anything. */
static void write_comment(Method *method, const Node *node) {
    const Context *context = method->context;
    if (node->span.end == 0 || context->sources.items[node->span.file].prelude) return;
    Position at = source_position(context, node->span.file, node->span.start);
    if (method->commented.file == node->span.file && method->commented.start == at.line) return;
    int length;
    const char *line = source_line(context, node->span.file, at.line, &length);
    const char *comment = memchr(line, '#', (size_t)length);
    if (comment) length = (int)(comment - line);
    while (length > 0 && isspace((unsigned char)*line)) line++, length--;
    while (length > 0 && isspace((unsigned char)line[length - 1])) length--;
    write_line(method, "# %d: %.*s", at.line, length, line);
    method->commented = (Span){.file = node->span.file, .start = at.line};
}

/* What a node without a label is called: after the result that it is, or after its operation. */
static const char *wish_for(const Method *method, const Node *node) {
    if (node->label) return node->label;
    for (int i = 0; i < method->entry->roots.count; i++) {
        const Root *root = &method->entry->roots.items[i];
        const char *point = root->name ? strrchr(root->name, '.') : NULL;
        if (root->value == node && root->kind != ROOT_ASSIGN && root->name) return point ? point + 1 : root->name;
    }
    return op_info[node->op].name;
}

static void write_node(Method *method, const Node *node) {
    if (node_is_transparent(node)) return;
    if (node->op == OP_SCAN) {
        write_comment(method, node);
        write_loop(method, node);
        return;
    }
    Code code = python_code(method, node);
    size_t length = strlen(code.text);
    bool repeated = method->frame.uses[node->id] > 1 && !(code.number && length <= SHORT_LENGTH);
    if (repeated || node->label || length > INLINE_LENGTH) {
        const char *name = new_name(method, wish_for(method, node));
        write_comment(method, node);
        write_line(method, "%s = %s", name, code.text);
        code = (Code){.text = name, .level = LEVEL_ATOM, .form = code.form == FORM_BOOLEAN ? FORM_BOOLEAN : FORM_PLAIN, .number = code.number};
    }
    method->frame.code[node->id] = code;
}

/* A transparent node is written wherever its users are. A loop uses its operands again and again. */
static int *count_uses(Arena *arena, const Graph *graph, const NodeList *roots, const bool *needed) {
    int *uses = arena_alloc(arena, sizeof *uses * (size_t)(graph->nodes.count + 1));
    for (int i = 0; i < roots->count; i++) uses[roots->items[i]->id]++;
    for (int id = graph->nodes.count - 1; id >= 0; id--) {
        const Node *node = graph->nodes.items[id];
        const int count = node_is_transparent(node) ? uses[id] : node->op == OP_SCAN ? 2 : 1;
        for (int i = 0; needed[id] && i < node->arity; i++) uses[node->in[i]->id] += count;
    }
    return uses;
}

void write_graph(Method *method, Frame frame, const Graph *graph, const NodeList *roots) {
    const size_t count = (size_t)graph->nodes.count + 1;
    frame.graph = graph;
    frame.needed = graph_needs(method->arena, graph, roots);
    frame.uses = count_uses(method->arena, graph, roots, frame.needed);
    frame.code = arena_alloc(method->arena, sizeof *frame.code * count);
    frame.part = arena_alloc(method->arena, sizeof *frame.part * count);
    method->frame = frame;
    for (int id = 0; id < graph->nodes.count; id++)
        if (frame.needed[id]) write_node(method, graph->nodes.items[id]);
}

/* ── results ──────────────────────────────────────────────────────────────────────────────── */

/* First values fill the tensors in place; the new value of a state takes the place of the old one, which autograd may still need. */
static void write_assignment(Method *method, const Root *root) {
    double value;
    const char *target = root->target->name;
    if (method->entry->kind != ENTRY_INIT)
        text_add(&method->body, "        self[\"%s\"] = %s\n", target, python_text(method, root->value, LEVEL_COMPARE));
    else if (node_is_uniform(root->value, &value) && isfinite(value)) {
        text_add(&method->body, "        self[\"%s\"].fill_(", target);
        text_number(&method->body, value);
        text_add(&method->body, ")\n");
    } else
        text_add(&method->body, "        self[\"%s\"].copy_(%s)\n", target, python_text(method, root->value, LEVEL_COMPARE));
}

/* A tensor, or a tuple of them. */
static void return_outputs(Method *method) {
    const char *before = "        return ";
    for (int i = 0; i < method->entry->roots.count; i++) {
        const Root *root = &method->entry->roots.items[i];
        if (root->kind != ROOT_OUTPUT) continue;
        text_add(&method->body, "%s%s", before, python_text(method, root->value, LEVEL_COMPARE));
        before = ", ";
    }
    text_add(&method->body, "\n");
}

/* A dictionary, one line for each loss and metric. */
static void return_reports(Method *method) {
    const char *before = "        return {";
    for (int i = 0; i < method->entry->roots.count; i++) {
        const Root *root = &method->entry->roots.items[i];
        if (root->kind != ROOT_REPORT) continue;
        text_add(&method->body, "%s\"%s\": %s", before, root->name, python_text(method, root->value, LEVEL_COMPARE));
        before = ",\n                ";
    }
    text_add(&method->body, "}\n");
}

/* ── the whole ────────────────────────────────────────────────────────────────────────────── */

static void write_body(Method *method) {
    const Entry *entry = method->entry;
    NodeList roots = {0};
    for (int i = 0; i < entry->roots.count; i++) LIST_PUSH(method->arena, &roots, entry->roots.items[i].value);
    write_graph(method, (Frame){.indent = 8}, entry->graph, &roots);
    for (int i = 0; i < entry->roots.count; i++)
        if (entry->roots.items[i].kind == ROOT_ASSIGN) write_assignment(method, &entry->roots.items[i]);
    if (entry->kind == ENTRY_FUNCTION) return_outputs(method);
    else if (entry->kind != ENTRY_INIT) return_reports(method);
}

static void name_inputs(Method *method) {
    const Entry *entry = method->entry;
    method->port = arena_alloc(method->arena, sizeof *method->port * (size_t)(entry->inputs.count + 1));
    for (int i = 0; i < entry->inputs.count; i++) method->port[entry->inputs.items[i]->index] = new_name(method, entry->inputs.items[i]->name);
}

static void name_sizes(Method *method) {
    const SymbolList *symbols = method->entry->symbols;
    method->size[SYMBOL_BATCH] = "n";
    for (int s = 1; symbols && s < symbols->count; s++) method->size[s] = new_name(method, symbols->items[s].name);
}

/* The size as the input's axis says it, "x.shape[1] - 1"; NULL where no input has it. */
static const char *size_from_input(const Method *method, int symbol) {
    for (int i = 0; i < method->entry->inputs.count; i++) {
        const Port *port = method->entry->inputs.items[i];
        for (int axis = 0; axis < port->shape.rank; axis++) {
            const Dim dim = port->shape.dim[axis];
            if (dim_is_const(dim) || dim.symbol != symbol) continue;
            const char *length = arena_printf(method->arena, "%s.shape[%d]", method->port[port->index], axis);
            if (dim.base) length = arena_printf(method->arena, dim.base > 0 ? "%s - %lld" : "%s + %lld", length, (long long)(dim.base > 0 ? dim.base : -dim.base));
            if (dim.scale == 1) return length;
            return arena_printf(method->arena, dim.base ? "(%s) // %lld" : "%s // %lld", length, (long long)dim.scale);
        }
    }
    return NULL;
}

/* "x [n, 28, 28], label [n] -> loss, accuracy" */
static void write_description(Text *to, const Method *method, const char *title) {
    const Entry *entry = method->entry;
    int count = 0;
    text_add(to, "        \"\"\"%s", title);
    for (int i = 0; i < entry->inputs.count; i++) {
        const Port *port = entry->inputs.items[i];
        text_add(to, "%s %s %s", i ? "," : ":", method->port[port->index], shape_text(method->arena, method->entry->symbols, &port->shape));
        if (port->classes) text_add(to, " of 0..%lld", (long long)port->classes - 1);
    }
    for (int i = 0; i < entry->roots.count; i++) {
        const Root *root = &entry->roots.items[i];
        if (root->kind != ROOT_ASSIGN) text_add(to, "%s %s", count++ ? "," : " ->", root->name);
        if (root->kind == ROOT_OUTPUT) text_add(to, " %s", shape_text(method->arena, method->entry->symbols, &root->port->shape));
    }
    text_add(to, "\"\"\"\n");
}

static void write_head(Text *to, const Method *method, const char *name, const char *title) {
    const Entry *entry = method->entry;
    text_add(to, "\n    def %s(self", name);
    for (int i = 0; i < entry->inputs.count; i++) text_add(to, ", %s", method->port[entry->inputs.items[i]->index]);
    if (entry->inputs.count == 0 && entry->kind != ENTRY_INIT) text_add(to, ", n");
    for (int s = 1; s < MAX_SYMBOLS; s++)
        if (method->sizes >> s & 1 && !size_from_input(method, s))
            text_add(to, ", %s=%lld", method->size[s], (long long)entry->symbols->items[s].high);
    text_add(to, "%s%s):\n", method->step ? ", step=0" : "", method->epoch ? ", epoch=0" : "");
    write_description(to, method, title);
    if (method->sizes & 1u << SYMBOL_BATCH && entry->inputs.count)
        text_add(to, "        n = len(%s)\n", method->port[entry->inputs.items[0]->index]);
    for (int s = 1; s < MAX_SYMBOLS; s++) {
        const char *size = method->sizes >> s & 1 ? size_from_input(method, s) : NULL;
        if (size) text_add(to, "        %s = %s\n", method->size[s], size);
    }
    for (int i = 0; i < entry->inputs.count; i++) {
        const Port *port = entry->inputs.items[i];
        if (port->classes) text_add(to, "        %s = %s.to(self.zero)\n", method->port[port->index], method->port[port->index]);
    }
}

bool method_write(Text *to, const Context *context, const Entry *entry, const char *name, const char *title) {
    Method method = {.arena = to->arena, .context = context, .entry = entry, .body = {.arena = to->arena}, .commented = {.file = -1}};
    name_sizes(&method);
    name_inputs(&method);
    write_body(&method);
    write_head(to, &method, name, title);
    text_bytes(to, method.body.bytes, method.body.length);
    return method.conv;
}
