/* lstm.h: a training step of an LSTM language model as the operators of one device, each for one
 * run, and the memory that the step needs. Equations: docs/models.md, section 6. */
#ifndef DF_LSTM_H
#define DF_LSTM_H
#include "model/product.h"

typedef enum {
    DF_LSTM_CELL,
    DF_LSTM_SOFTMAX,
    DF_LSTM_EMBEDDING,
    DF_LSTM_HOP, /* to the next stage of the pipeline */
    DF_LSTM_CELL_REDUCTION,
    DF_LSTM_SOFTMAX_REDUCTION,
    DF_LSTM_EMBEDDING_REDUCTION,
    DF_LSTM_ROWS
} df_lstm_row;

enum { DF_LSTM_PARTS = DF_PART_EMBEDDING + 1 };

/* The dimensions of the model and its split, read once. Padding is zeroed. */
typedef struct {
    double batch; /* sequences of a replica */
    double width, gates, words, layers, steps;
    double stages;
    double element_bytes;
    df_product part[DF_LSTM_PARTS]; /* products of a cell and of the softmax, and the table of the
                                       embedding */
    /* The types of the splits in the configuration. Time and memory differ in two things. For time,
     * a part over 1 x 1 devices is not split, whatever its type, and a part that is not split
     * ignores its degrees. Memory takes the type as given, and counts a part of type none as
     * column-row over its dim1. */
    df_kp_type given[DF_LSTM_PARTS];
    double exchanged_rows[DF_DIRECTIONS]; /* rows of a cell's outputs whose gates change hands */
    double
        hop_bytes; /* activations of one step that a stage hands on; 0: there is only one stage */
} df_lstm;

void df_lstm_read(const df_cfg *cfg, df_lstm *x);

/* Fills *ops, row by row in the order of df_lstm_row. Equal bytes of *x make equal lists. */
void df_lstm_build(const df_lstm *x, df_ops *ops);

/* Trainable parameters, with a layer of `projection` units behind the last one. */
double df_lstm_params(const df_lstm *x, double projection);

/* ---- Memory of a device ---- */

typedef struct {
    double weight_bytes, activation_bytes, pointwise_bytes, total_bytes;
} df_footprint_part;

typedef struct {
    df_footprint_part part[DF_LSTM_PARTS]; /* indexed by df_part */
    double total_bytes;                    /* bytes of the fullest device */
} df_footprint;

void df_footprint_lstm(const df_lstm *x, df_footprint *out);

/* The bytes of the fullest device from those of the parts. */
double df_footprint_fullest_bytes(const df_footprint *parts, double stages);

#endif
