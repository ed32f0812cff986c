/* flash.h: FlashAttention as tiles (Dao et al., NeurIPS 2022; Dao, ICLR 2024). */
#ifndef DF_FLASH_H
#define DF_FLASH_H
#include "cost/cost.h"

/* The forward kernel of one device. */
typedef struct {
    double pairs;               /* of tiles of queries and of keys, of one head of one sequence */
    df_gemm_cost score, output; /* the two products of a pair */
    double softmax_flops;       /* of a pair */
    double dram_bytes;          /* queries and outputs, keys and values each once */
} df_flash;

/* Fails as df_price_op does. */
DF_NODISCARD df_status df_flash_tile(const df_coster *c, const df_op_attention *a, df_flash *flash);

/* Flops and traffic of the kernel, `times` over. */
void df_flash_count(const df_flash *flash, const df_op_attention *a, double times, df_price *price);

#endif
