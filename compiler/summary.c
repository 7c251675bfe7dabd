/* --summary: what a model is made of. Nets with their tensors and numbers of values, each tied tensor counted once, for
 * the net that owns it; then what can be called, and the stages of training. */
#include "gdlc.h"

#include <string.h>

static const char *grouped(Arena *arena, int64_t number) {
    const char *digits = arena_printf(arena, "%lld", (long long)number);
    Text text = { .arena = arena };
    for (size_t i = 0, length = strlen(digits); i < length; i++)
        text_add(&text, "%s%c", i && (length - i) % 3 == 0 ? "," : "", digits[i]);
    return text.bytes;
}

static int64_t tensor_size(const Tensor *tensor) { return shape_size(&tensor->shape, NULL); }

static bool owned_by(const Tensor *tensor, const char *net) {
    size_t length = strlen(net);
    return strncmp(tensor->name, net, length) == 0 && tensor->name[length] == '.' && tensor->role != TENSOR_OPTIMIZER;
}

/* Of the column of names: as wide as the longest, below its net. */
static int name_width(const Module *module) {
    int width = 36;
    for (int i = 0; i < module->tensors.count; i++) {
        const Tensor *tensor = module->tensors.items[i];
        const char *point = strchr(tensor->name, '.'), *name = point ? point + 1 : tensor->name;
        if (tensor->role != TENSOR_OPTIMIZER && (int)strlen(name) > width) width = (int)strlen(name);
    }
    return width;
}

static void print_tensor(Text *to, const Tensor *tensor, const char *owner, int width) {
    size_t skip = owner ? strlen(owner) + 1 : 0;
    text_add(to, "    %-*s %-20s %12s%s\n", width, tensor->name + skip, shape_text(to->arena, NULL, &tensor->shape),
             grouped(to->arena, tensor_size(tensor)), tensor->role == TENSOR_STATE ? "  not trained" : "");
}

/* As Keras counts: with the states, which are saved but not trained. */
static void print_net(Text *to, const Module *module, const NetInfo *net, int width) {
    int64_t count = 0;
    for (int i = 0; i < module->tensors.count; i++)
        if (owned_by(module->tensors.items[i], net->name)) count += tensor_size(module->tensors.items[i]);
    text_add(to, "net %-*s %12s\n", width + 22, net->name, grouped(to->arena, count));
    for (int i = 0; i < module->tensors.count; i++)
        if (owned_by(module->tensors.items[i], net->name)) print_tensor(to, module->tensors.items[i], net->name, width);
}

static void print_shared(Text *to, const Module *module, int width) {
    for (int i = 0; i < module->tensors.count; i++)
        if (module->tensors.items[i]->role == TENSOR_PARAM && !strchr(module->tensors.items[i]->name, '.'))
            print_tensor(to, module->tensors.items[i], NULL, width);
}

static void print_port(Text *to, const SymbolList *symbols, const Port *port) {
    Shape example = shape_without(&port->shape, 1);
    if (port->classes) text_add(to, "%s: class[%lld]", port->name, (long long)port->classes);
    else text_add(to, "%s: %s", port->name, shape_text(to->arena, symbols, &example));
}

static void print_function(Text *to, const Entry *entry) {
    text_add(to, "%s %s(", entry->net ? "net" : "export", entry->name);
    for (int i = 0; i < entry->inputs.count; i++) {
        if (i) text_add(to, ", ");
        print_port(to, entry->symbols, entry->inputs.items[i]);
    }
    text_add(to, ") ->");
    for (int i = 0; i < entry->roots.count; i++) {
        text_add(to, i ? ", " : " ");
        print_port(to, entry->symbols, entry->roots.items[i].port);
    }
    text_add(to, "\n");
}

static void print_stage(Text *to, const Stage *stage) {
    text_add(to, "train %s: batch %lld, %lld epochs", stage->name, (long long)stage->batch, (long long)stage->epochs);
    for (int p = 0; stage->phases.count > 1 && p < stage->phases.count; p++)
        text_add(to, "%s %s", p ? "," : "; phases", stage->phases.items[p].entry->name);
    text_add(to, "\n");
}

void summary_print(Text *to, const Module *module) {
    const int width = name_width(module);
    int64_t total = 0, states = 0;
    for (int i = 0; i < module->tensors.count; i++) {
        const Tensor *tensor = module->tensors.items[i];
        if (tensor->role == TENSOR_PARAM) total += tensor_size(tensor);
        if (tensor->role == TENSOR_STATE) states += tensor_size(tensor);
    }
    for (int i = 0; i < module->nets.count; i++) print_net(to, module, &module->nets.items[i], width);
    print_shared(to, module, width);
    text_add(to, "%-*s %12s\n", width + 26, "trainable parameters", grouped(to->arena, total));
    if (states) text_add(to, "%-*s %12s\n", width + 26, "not trained", grouped(to->arena, states));
    text_add(to, "\n");
    for (int i = 0; i < module->functions.count; i++) print_function(to, module->functions.items[i]);
    for (int i = 0; i < module->stages.count; i++) print_stage(to, module->stages.items[i]);
}
