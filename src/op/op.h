/* op.h: what one device does, operator by operator, before it is known how long that takes. A model
 * emits a list of operators, and the cost model prices it (cost/cost.h). Counts may be fractions:
 * an expert may be busy half of the time. An operator has no pointers, so a list can be copied with
 * memcpy. */
#ifndef DF_OP_H
#define DF_OP_H
#include <stdbool.h>
#include <stdint.h>

typedef enum {
    DF_OP_GEMM,
    DF_OP_ATTENTION, /* FlashAttention, one kernel */
    DF_OP_STREAM,    /* pointwise work, which reads and writes DRAM once */
    DF_OP_HOST,      /* a transfer from the host */
    DF_OP_LINK,      /* a transfer at the full speed of a link, which there must be */
    DF_OP_COLLECTIVE,
} df_op_kind;
enum { DF_OP_KINDS = DF_OP_COLLECTIVE + 1 };

/* Forward, and the two halves of backward. Pointwise work has an input gradient alone. */
typedef enum { DF_PASS_FORWARD, DF_PASS_INPUT_GRAD, DF_PASS_WEIGHT_GRAD } df_op_pass;
enum { DF_OP_PASSES = DF_PASS_WEIGHT_GRAD + 1 };

enum { DF_FORWARD, DF_BACKWARD, DF_DIRECTIONS };

/* What the operators of a list are repeated with: those of layers run once for each layer, the
 * others once. */
typedef enum { DF_BLOCK_EMBEDDING, DF_BLOCK_LAYER, DF_BLOCK_HEAD, DF_BLOCKS } df_block;

/* The table of a transformer that reports print, in its order. Operators name the first ones, of
 * which MHA, MLP and, in part, attention are sums. Other models have rows of their own. */
typedef enum {
    DF_ROW_QKV,
    DF_ROW_SCORE,
    DF_ROW_SOFTMAX,
    DF_ROW_AV,
    DF_ROW_ATTENTION,
    DF_ROW_OUT,
    DF_ROW_FFN1,
    DF_ROW_FFN2,
    DF_ROW_EMBEDDING,
    DF_ROW_NORM1,
    DF_ROW_NORM2,
    DF_ROW_ACTIVATION,
    DF_ROW_LOGITS,
    DF_ROW_MHA,
    DF_ROW_MLP,
    DF_ROWS
} df_row_name;

extern const char *const df_row_names[DF_ROWS]; /* "qkv_proj", ... */

/* What an operator is within its row. */
typedef enum {
    DF_OP_PART_MAIN,
    DF_OP_PART_RESIDUAL,
    DF_OP_PART_CAST, /* a cast of weights that are kept wider than they are used */
    DF_OP_PART_CACHE_STORE,
    DF_OP_PART_CACHE_FETCH,
    DF_OP_PART_INPUT,  /* a collective that gathers a product's input */
    DF_OP_PART_SHARED, /* of experts to which every token goes, and of the width of the others */
} df_op_part;

typedef enum {
    DF_COLL_ALL_REDUCE,
    DF_COLL_REDUCE_SCATTER,
    DF_COLL_ALL_GATHER,
    DF_COLL_ALL_TO_ALL,
    DF_COLL_P2P, /* one hop between neighbours */
} df_coll_kind;

enum {
    DF_OP_BESIDE =
        1, /* runs in parallel with what its row has before it, and counts if it takes longer */
    DF_OP_ALONE = 2,       /* is in its own row's time, and in no sum of rows */
    DF_OP_WHOLE_BYTES = 4, /* a fraction of a byte that it streams takes no time */
    DF_OP_AGAIN = 8,       /* is the kernel of the operator before it, repeated as it says */
    DF_OP_NO_LATENCY = 16, /* a collective in which the latency of links does not count */
};

/* A product: C[m,n] += A[m,k] B[k,n]. chip_bytes: of a product inside a larger kernel, what it
 * moves through L2, while DRAM moves nothing; 0: its operands come from DRAM. */
typedef struct {
    double m, k, n, chip_bytes;
} df_op_gemm;

/* The attention of a device: queries and keys of one sequence, heads of all sequences. */
typedef struct {
    double queries, keys;
    double heads, kv_heads, head_dim;
    double tile;   /* edge of a tile of keys */
    double unseen; /* share of the pairs of a query and a key that a window or an indexer leaves
                      out, of those that a causal mask leaves */
    double
        latent; /* width of what all heads share, keys and values in one; 0: heads have their own */
    double latent_value; /* the part of it that is the value, too */
    bool causal;
} df_op_attention;

/* Flops and bytes are those of an element. */
typedef struct {
    double elements, flops, bytes;
} df_op_stream;

/* Bytes: the larger of a member's input and output; every module means this by a collective's
 * bytes. `axes` has bit a for df_axis a: the group is of all devices along them. */
typedef struct {
    df_coll_kind kind;
    unsigned axes;
    double bytes;
} df_op_collective;

/* What an operator needs of its device's memory, for one micro-batch: exact shares of what all
 * devices hold, without the rounding up of shapes. */
typedef struct {
    double params;      /* weights that it reads and the device holds */
    double experts;     /* those among them that are of experts which devices share */
    double saved_bytes; /* kept from its forward until its backward pass, in training */
    double
        live_bytes; /* in use while it runs; in inference, also the input and output of its layer */
    double cache_bytes; /* keys and values that it leaves in the cache of a whole sequence */
} df_op_memory;

typedef struct {
    unsigned axis; /* a df_axis */
    double bytes;
} df_op_link;

typedef struct {
    uint8_t kind, pass, block, row, part, flags;
    double share;    /* of the layers of its block that have it, whose prices differ: 1 of most */
    double repeats;  /* kernels like this one, one after another */
    double launches; /* total number of kernels that are launched */
    double members;  /* members of a collective; 0: all devices along its axes, or two of them in a
                        hop */
    union {
        df_op_gemm gemm;
        df_op_attention attention;
        df_op_stream stream;
        df_op_collective coll;
        df_op_link link;
        double host_bytes;
    };
    df_op_memory memory; /* operators of the forward pass alone have any */
} df_op;

/* A layer with its embedding and head has fewer than 80; the mean of several kinds, one after
 * another, has as many for each. */
enum { DF_OPS_MAX = 3072 };

typedef struct {
    df_op op[DF_OPS_MAX];
    int count;
} df_ops;

/* Appends an operator for the caller to fill. There must be room for it: a list is as long as its
 * model makes it. It is fastest to fill it field by field: copying what was just written stalls the
 * processor. */
df_op *df_ops_append(df_ops *ops);

/* DF_FORWARD or DF_BACKWARD. */
static inline int df_op_direction(const df_op *op)
{
    return op->pass == DF_PASS_FORWARD ? DF_FORWARD : DF_BACKWARD;
}

/* Bytes that each member of a ring of n sends in a collective. */
double df_coll_sent_bytes(df_coll_kind kind, double bytes, double n);

#endif
