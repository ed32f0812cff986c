/* grad.h: descents from one starting point to the best budgets. */
#ifndef DF_GRAD_H
#define DF_GRAD_H
#include "eval/eval.h"

typedef enum {
    DF_OPT_REFERENCE,    /* the Python DeepFlow's rule, step by step */
    DF_OPT_BFGS2,        /* gsl_multimin: vector_bfgs2 */
    DF_OPT_CONJUGATE_FR, /* conjugate_fr */
    DF_OPT_STEEPEST,     /* steepest_descent */
    DF_OPT_NMSIMPLEX2,   /* nmsimplex2 */
    DF_OPT_CMA,          /* evolution of a distribution, then moves of budget */
    DF_OPTIMIZERS
} df_optimizer;

extern const char *const df_optimizer_names[DF_OPTIMIZERS]; /* "reference", "vector_bfgs2", ... */
DF_NODISCARD df_status df_optimizer_parse(const char *text, df_optimizer *out, df_err *err);

/* The points from which descents start. */
typedef enum {
    DF_START_AUTO,   /* depends on the optimizer: sobol for cma, random for the others */
    DF_START_RANDOM, /* df_grad_start_random */
    DF_START_SOBOL,  /* df_grad_start_sobol */
    DF_STARTS
} df_start_kind;

extern const char *const df_start_names[DF_STARTS]; /* "auto", "random", "sobol" */

typedef enum {
    DF_SEARCH_PENDING,
    DF_SEARCH_CONVERGED,  /* the optimiser's own test, or no further progress */
    DF_SEARCH_ITERATIONS, /* the limit of iterations was reached */
    DF_SEARCH_STOPPED,    /* reference rule: infinite time, or not enough area for DRAM */
    DF_SEARCH_INFEASIBLE, /* no working device was met */
} df_search_status;
extern const char *const df_search_status_names[]; /* "pending", "converged", ... */

enum { DF_GRAD_ITERATIONS = 100 };

typedef struct {
    df_optimizer optimizer;
    int max_iterations; /* 0: DF_GRAD_ITERATIONS */
    df_start_kind starts;
} df_grad_options;

/* One iterate. */
typedef struct {
    int32_t iteration; /* 0 is the start */
    df_eval_result result;
    df_point point;
} df_iterate;

typedef struct {
    df_search_status status;
    int32_t iterations;
    int64_t evaluations;
    double start_time_s;
    double best_time_s;     /* inf: none found */
    double best_value;      /* value of the objective that was minimised */
    double memory_overflow; /* memory overflow at the best point */
    df_eval_metrics metrics;
    df_point start, best; /* the best point, or the start if no better one was found */
} df_descent;

/* The observer of a descent. It is called after each iterate; returning false stops the descent
 * (DF_EINTERRUPTED). */
typedef struct {
    bool (*on_iterate)(void *ctx, const df_iterate *iterate);
    void *ctx;
} df_grad_watch;

/* The starting point of a search index, of the kind that the options name, within its ranges.
 * DF_ENOMEM. */
DF_NODISCARD df_status df_grad_start(const df_eval *eval,
                                     const df_grad_options *options,
                                     uint32_t index,
                                     df_point *start,
                                     df_err *err);

/* Equal to Python's random.seed(index); random.sample(range(1, 100), k) for each class. */
void df_grad_start_random(const df_eval *eval, uint32_t index, df_point *start);

/* Points of different indices are spread evenly: point `index` of Sobol's sequence is mapped to
 * shares that are uniform among all possible shares. Index 0 has equal shares. DF_ENOMEM. */
DF_NODISCARD df_status df_grad_start_sobol(const df_eval *eval,
                                           uint32_t index,
                                           df_point *start,
                                           df_err *err);

/* The weight of each of several objectives in the descent of an index: index 0 weighs them equally,
 * and the weights of the others are spread evenly by Sobol's sequence. `weight` has DF_GOALS
 * numbers. DF_ENOMEM. */
DF_NODISCARD df_status df_grad_weights(uint32_t index, double weight[], df_err *err);

/* State and step of the reference rule, available separately for tests and replays. */
typedef struct {
    double moment[DF_PARAMS];
} df_reference_state;

/* The input of an update. */
typedef struct {
    double t;                  /* time at the point; may be inf */
    double overflow;           /* memory overflow there */
    double t_grown[DF_PARAMS]; /* times with 1.5 * p_i and nothing else changed */
} df_reference_times;

/* Updates every class once (docs/models.md, section 9). Writes the next point in place; returns
 * false if the rule says that there is not enough area for the DRAM. */
bool df_reference_step(const bool searched[DF_PARAMS],
                       const double budget[DF_CLASSES],
                       const df_reference_times *times,
                       df_reference_state *state,
                       df_point *point);

/* Whether two descents found the same design with the same figures, as happens for strategies that
 * differ in nothing that matters here. */
bool df_descent_same_result(const df_descent *a, const df_descent *b);

/* Runs one descent from `start`. The same inputs give the same bits. `watch` may be NULL. Uses GSL,
 * and allocates only at its start. The GSL error handler must be off. DF_EINTERRUPTED: the observer
 * stopped the descent; *out holds what was reached. DF_ENOMEM. */
DF_NODISCARD df_status df_grad_descend(df_eval *eval,
                                       const df_grad_options *options,
                                       const df_point *start,
                                       const df_grad_watch *watch,
                                       df_descent *out,
                                       df_err *err);

/* Most evaluations that a descent by the reference rule takes; other descents stop soon after that
 * number. */
int64_t df_grad_max_evaluations(const df_grad_options *options, int searched);

#endif
