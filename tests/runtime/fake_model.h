/* fake_model.h: a model written by hand that has everything a description can have, for the tests of the runtime.
 *
 *     net encode(image: [4, 4]) -> code: [2]         export reconstruct(image: [4, 4]) -> image: [4, 4]
 *     export generate() -> image: [4, 4]             export both(image: [4, 4]) -> code: [2], image: [4, 4]
 *     net together(image: [4, 4]) -> image: [4, 4]   (examples depend on each other: no more than the capacity)
 *     net classify(image: [4, 4]) -> scores: [3]
 *     train autoencoder(x: [4, 4])                   linear, MSE, noise on the code, SGD with momentum
 *     train classifier(x: [4, 4], label: class[3])   reads two batches in an iteration; adds to a state */
#ifndef FAKE_MODEL_H
#define FAKE_MODEL_H

#include "gdl.h"

enum { FAKE_PIXELS = 16, FAKE_CODE = 2, FAKE_CLASSES = 3 };

const gdl_model *fake_describe(void);

/* The stages of the model. */
enum { FAKE_AUTOENCODER, FAKE_CLASSIFIER };

#endif
