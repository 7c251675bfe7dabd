/* --emit torch: the model as a module of PyTorch, to go on with it there and to compare with it.
 *
 * Parameters and states have the names of the model, so that state_dict() has the keys of a checkpoint. Every net, export and phase is
 * a method; of a phase it is the forward pass and what it moves itself, as running averages do: gradients are autograd's, and the
 * updates belong to torch.optim. So the entry points are taken before `simplify`, which forgets where gradients stop. */
#include "torch.h"

#include <string.h>

static const char preamble[] =
    "import torch\n"
    "import torch.nn.functional as F\n"
    "from torch import nn\n"
    "\n\n"
    "class Tensors(nn.Module):\n"
    "    \"\"\"Tensors by their names in the model, which are the keys of state_dict(): self[\"encoder.hidden.kernel\"].\n"
    "\n"
    "    Parts are modules inside of modules. They are entered into PyTorch's own tables, because a name of the model may be a word that\n"
    "    Python or nn.Module uses itself, such as `lambda` or `half`.\"\"\"\n"
    "\n"
    "    def __init__(self):\n"
    "        super().__init__()\n"
    "        self.register_buffer(\"0\", torch.zeros(()), persistent=False)\n"
    "\n"
    "    @property\n"
    "    def zero(self):\n"
    "        \"\"\"Has the type and the device of the model.\"\"\"\n"
    "        return self._buffers[\"0\"]\n"
    "\n"
    "    def hold(self, path, shape, trained):\n"
    "        *parts, name = path.split(\".\")\n"
    "        module = self\n"
    "        for part in parts:\n"
    "            if part not in module._modules:\n"
    "                module._modules[part] = nn.Module()\n"
    "            module = module._modules[part]\n"
    "        if trained:\n"
    "            module._parameters[name] = nn.Parameter(torch.zeros(shape))\n"
    "        else:\n"
    "            module._buffers[name] = torch.zeros(shape)\n"
    "\n"
    "    def find(self, path):\n"
    "        *parts, name = path.split(\".\")\n"
    "        module = self\n"
    "        for part in parts:\n"
    "            module = module._modules[part]\n"
    "        return module, name\n"
    "\n"
    "    def __getitem__(self, path):\n"
    "        module, name = self.find(path)\n"
    "        return module._parameters[name] if name in module._parameters else module._buffers[name]\n"
    "\n"
    "    def __setitem__(self, path, value):\n"
    "        module, name = self.find(path)\n"
    "        module._buffers[name] = value.detach()\n"
    "\n"
    "    # Random draws. `stream` tells the draws of a model apart, for those who override these to feed it with their own.\n"
    "    def uniform(self, stream, shape):\n"
    "        return self.zero.new_empty(shape).uniform_()\n"
    "\n"
    "    def normal(self, stream, shape):\n"
    "        return self.zero.new_empty(shape).normal_()\n"
    "\n"
    "    def orthogonal(self, stream, shape):\n"
    "        return nn.init.orthogonal_(self.zero.new_empty(shape).reshape(-1, shape[-1])).reshape(shape)\n";

static const char convolution[] =
    "\n\n"
    "def convolve(x, kernel, stride=None, low=None, high=None, spread=None, dilation=None):\n"
    "    \"\"\"[b, s..., i], [k..., i, o] -> [b, s'..., o]. The input gets `spread` - 1 zeros between its elements, and `low` and `high` zeros\n"
    "    around them (negative: elements are cut off).\"\"\"\n"
    "    axes = x.dim() - 2\n"
    "    once, none = (1,) * axes, (0,) * axes\n"
    "    x, kernel = x.movedim(-1, 1), kernel.movedim((-1, -2), (0, 1))\n"
    "    for axis, factor in enumerate(spread or once, 2):\n"
    "        gaps = [torch.zeros_like(x)] * (factor - 1)\n"
    "        size = (x.shape[axis] - 1) * factor + 1\n"
    "        x = torch.stack([x, *gaps], axis + 1).flatten(axis, axis + 1).narrow(axis, 0, size)\n"
    "    around = [zeros for pair in zip(low or none, high or none) for zeros in reversed(pair)]\n"
    "    apply = (F.conv1d, F.conv2d, F.conv3d)[axes - 1]\n"
    "    return apply(F.pad(x, around[::-1]), kernel, stride=stride or once, dilation=dilation or once).movedim(1, -1)\n";

/* ── entry points without gradients ───────────────────────────────────────────────────────── */

/* By id: whether the value comes from a gradient that the graph computes for its updates. */
static bool *from_gradients(Arena *arena, const Entry *entry) {
    const Graph *graph = entry->graph;
    bool *from = arena_alloc(arena, sizeof *from * (size_t)(graph->nodes.count + 1));
    for (int i = 0; i < entry->gradients.count; i++) from[entry->gradients.items[i]->id] = true;
    for (int id = 0; id < graph->nodes.count; id++)
        for (int i = 0; i < graph->nodes.items[id]->arity; i++) from[id] |= from[graph->nodes.items[id]->in[i]->id];
    return from;
}

/* Updates, and averages of what they update, are the caller's; optimizers' states do not exist in the module. */
static bool is_forward(const Entry *entry, const Root *root, const bool *from_gradient) {
    if (root->kind != ROOT_ASSIGN) return true;
    if (root->target->role == TENSOR_OPTIMIZER) return false;
    return entry->kind == ENTRY_INIT || (root->target->role == TENSOR_STATE && !from_gradient[root->value->id]);
}

/* The entry point with the roots that the module computes, in simpler form; the stops of gradients are kept. */
static Entry forward_entry(Arena *arena, const Entry *entry) {
    Entry forward = *entry;
    const bool *from_gradient = from_gradients(arena, entry);
    memset(&forward.roots, 0, sizeof forward.roots);
    memset(&forward.gradients, 0, sizeof forward.gradients);
    for (int i = 0; i < entry->roots.count; i++) {
        Root root = entry->roots.items[i];
        if (!is_forward(entry, &root, from_gradient)) continue;
        root.value = simplify_node(entry->graph, root.value, NULL, 0);
        LIST_PUSH(arena, &forward.roots, root);
    }
    return forward;
}

static bool write_entry(Text *to, const Context *context, const Entry *entry, const char *name, const char *title) {
    const Entry forward = forward_entry(to->arena, entry);
    return method_write(to, context, &forward, name, title);
}

/* ── methods ──────────────────────────────────────────────────────────────────────────────── */

static bool write_functions(Text *to, const Context *context, const Module *module) {
    bool conv = false;
    for (int i = 0; i < module->functions.count; i++) {
        const Entry *entry = module->functions.items[i];
        const char *kind = entry->net ? "net" : "export";
        conv |= write_entry(to, context, entry, arena_printf(to->arena, "%s_%s", kind, entry->name),
                            arena_printf(to->arena, "%s %s", entry->net ? "Net" : "Export", entry->name));
    }
    return conv;
}

static bool write_stage(Text *to, const Context *context, const Stage *stage) {
    bool conv = false;
    for (int i = 0; i < stage->phases.count; i++) {
        const Entry *entry = stage->phases.items[i].entry;
        const bool alone = stage->phases.count == 1;
        const char *name = alone ? stage->name : arena_printf(to->arena, "%s_%s", stage->name, entry->name);
        const char *title = alone ? arena_printf(to->arena, "Training of %s", stage->name)
                                  : arena_printf(to->arena, "Training of %s, phase %s", stage->name, entry->name);
        conv |= write_entry(to, context, entry, arena_printf(to->arena, "phase_%s", name), title);
    }
    return write_entry(to, context, stage->evaluate, arena_printf(to->arena, "evaluate_%s", stage->name),
                       arena_printf(to->arena, "%s in inference form", stage->name)) || conv;
}

static void write_constructor(Text *to, const Module *module) {
    text_add(to, "\n\nclass Model(Tensors):\n    def __init__(self):\n        super().__init__()\n");
    for (int i = 0; i < module->tensors.count; i++) {
        const Tensor *tensor = module->tensors.items[i];
        if (tensor->role == TENSOR_OPTIMIZER) continue;
        text_add(to, "        self.hold(\"%s\", %s, trained=%s)\n", tensor->name, shape_text(to->arena, NULL, &tensor->shape),
                 tensor->role == TENSOR_PARAM ? "True" : "False");
    }
    text_add(to, "        self.initialise()\n\n    @torch.no_grad()");
}

/* ── the module ───────────────────────────────────────────────────────────────────────────── */

static void write_banner(Text *to, const Module *module) {
    text_add(to, "\"\"\"The model %s for PyTorch. Made by gdlc %s. Do not edit: change the model and make it anew.\n\n", module->name, GDLC_VERSION);
    text_add(to, "    model = Model()\n"
                 "    model.load_state_dict(safetensors.torch.load_file(\"%s.safetensors\"), strict=False)\n\n"
                 "Not strict, because a checkpoint may also hold the state of an optimizer.\n\n",
             module->name);
    text_add(to, "Nets and exports are methods that return tensors. `phase_...` returns a phase's loss and metrics in training form: call\n"
                 "backward() on the loss. `evaluate_...` returns those of all phases in inference form. Initial values and draws are random.\"\"\"\n");
}

void torch_print(Text *to, const Context *context, const Module *module) {
    Text methods = {.arena = to->arena};
    write_constructor(&methods, module);
    bool conv = write_entry(&methods, context, module->init, "initialise", "Gives all tensors their first values.");
    conv |= write_functions(&methods, context, module);
    for (int i = 0; i < module->stages.count; i++) conv |= write_stage(&methods, context, module->stages.items[i]);
    write_banner(to, module);
    text_add(to, "%s%s", preamble, conv ? convolution : "");
    text_bytes(to, methods.bytes, methods.length);
}
