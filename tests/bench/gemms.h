/* Records the matrix products of a training step, to run them again alone.
 *
 * The models that are measured are compiled with cblas_sgemm renamed to gemms_call, which notes its arguments while a recording is
 * on, and calls cblas_sgemm. So the products are those that the step really asks for, whatever the model. */
#ifndef GEMMS_H
#define GEMMS_H

typedef struct Gemms Gemms;

void gemms_start(void);      /* starts to record the calls of gemms_call */
Gemms *gemms_stop(void);     /* what was recorded, with operands of its own: free with gemms_free; NULL: no memory */
void gemms_run(const Gemms *gemms);
int gemms_count(const Gemms *gemms);
double gemms_flops(const Gemms *gemms); /* 2 m n k of each */
void gemms_print(const Gemms *gemms);   /* a line for each product */
void gemms_free(Gemms *gemms);

#endif
