/* memo.h: times of products and prompts that were computed before, for one card under one load: a
 * model has many alike, and a strategy after another asks for the same. */
#ifndef DF_KERNELS_MEMO_H
#define DF_KERNELS_MEMO_H
#include "kernels/kernels.h"

typedef struct df_kernel_memo df_kernel_memo;

/* NULL when out of memory. */
df_kernel_memo *df_kernel_memo_new(void);
void df_kernel_memo_free(df_kernel_memo *memo); /* also NULL */

/* Before the times of a card under a load: forgets those of others. */
void df_kernel_memo_use(df_kernel_memo *memo, const df_card *card, const df_load *load);
void df_kernel_memo_clear(df_kernel_memo *memo);

/* df_kernel_gemm_in and df_kernel_prompt, of the card and the load in use. */
double df_kernel_memo_gemm_s(df_kernel_memo *memo,
                             const df_gemm_kernel *kernel,
                             const df_matmul *product,
                             const df_matmul_bytes *bytes);
df_prompt_time df_kernel_memo_prompt(df_kernel_memo *memo, const df_prompt *prompt);

#endif
