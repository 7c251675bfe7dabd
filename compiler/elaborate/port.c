/* Inputs and outputs of entry points. */
#include "elaborate.h"

#include <string.h>

Port *declare_port(Elaborator *e, const Formal *formal, Scope *scope, int index) {
    Port *port = NEW(e->arena, Port);
    *port = (Port){ .name = formal->name.text, .index = index, .span = formal->name.span };
    Shape shape = { 0 };
    if (formal->standard) {
        fail(e, formal->standard->span, "an input has no default value");
        return NULL;
    }
    if (!formal->shape && !formal->classes) {
        fail(e, formal->name.span, "the input `%s` needs a shape, as in `%s: [28, 28]`, or `class[10]` for a label",
             formal->name.text, formal->name.text);
        return NULL;
    }
    if (formal->classes && !to_integer(e, evaluate(e, scope, formal->classes, no_name), formal->classes->span,
                                       "a number of classes", 1, &port->classes))
        return NULL;
    if (formal->shape && !to_shape(e, evaluate(e, scope, formal->shape, no_name), formal->shape->span, &shape)) return NULL;
    port->shape.rank = shape.rank + 1;
    port->shape.dim[0] = dim_batch(1);
    for (int i = 0; i < shape.rank; i++) port->shape.dim[i + 1] = shape.dim[i];
    return port;
}

Value port_value(const Entry *entry, const Port *port) {
    Value value = tensor_value(graph_input(entry->graph, port), true);
    value.classes = port->classes;
    return value;
}

static void add_output(Elaborator *e, Entry *entry, Value output, int index, int count, Span span) {
    Shape shape = example_shape(output);
    const char *label = output.node->label;
    output = tensor_broadcast(e, output, &shape, true, dim_batch(1));
    if (!dim_equal(output.node->shape.dim[0], dim_batch(1))) {
        fail(e, span, "a result has one value for each example, but this has %lld", (long long)output.node->shape.dim[0].scale);
        return;
    }
    Port *port = NEW(e->arena, Port);
    *port = (Port){ .shape = output.node->shape, .index = index, .span = span };
    port->name = count == 1 ? "out" : label ? label : arena_printf(e->arena, "out%d", index + 1);
    for (int i = 0; i < entry->roots.count; i++) {
        const Root *other = &entry->roots.items[i];
        if (other->value != output.node && strcmp(other->name, port->name) != 0) continue;
        port->name = arena_printf(e->arena, "out%d", index + 1);
    }
    LIST_PUSH(e->arena, &entry->roots,
              ((Root){ .kind = ROOT_OUTPUT, .name = port->name, .port = port, .value = output.node, .span = span }));
}

void add_outputs(Elaborator *e, Entry *entry, Value result, Span span) {
    int count = result.kind == VALUE_TUPLE ? result.count : 1;
    const Value *items = result.kind == VALUE_TUPLE ? result.items : &result;
    for (int i = 0; i < count; i++) {
        Value output;
        if (!to_tensor(e, items[i], span, &output)) return;
        add_output(e, entry, output, i, count, span);
    }
}
