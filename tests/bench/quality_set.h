/* quality_set.h: the problems on which optimizers are compared. */
#ifndef DF_QUALITY_SET_H
#define DF_QUALITY_SET_H
#include "eval/eval.h"

enum { DF_QUALITY_ONLY = 6 };

typedef struct {
    const char *name;
    const char *hardware, *model;       /* files below configs/; model NULL: a combined file */
    int64_t kp_type, kp1, kp2, dp, lp;  /* kp1 is tp of an LLM */
    int64_t mb;                         /* of an LLM */
    int64_t batch;                      /* 0: the file's */
    int64_t intra_derate, inter_derate; /* with inter_derate there are 4 wafers */
    bool dp_inter, lp_inter;
    double power, area;                /* times the file's TDP and device area; 0: 1 */
    const char *rules;                 /* NULL: corrected */
    const char *only[DF_QUALITY_ONLY]; /* what is searched; none: everything */
} df_quality_problem;

extern const df_quality_problem df_quality_problems[];
extern const int df_num_quality_problems;
/* Of few dimensions, so that their optimum can be found by trying all. */
extern const df_quality_problem df_quality_reduced[];
extern const int df_num_quality_reduced;

/* The search of a problem; the caller frees it. */
DF_NODISCARD df_status df_quality_open(const df_quality_problem *problem,
                                       df_eval **out,
                                       df_err *err);

#endif
