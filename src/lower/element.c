/* What the files that plan a graph ask of its elements. */
#include "lower/lower_impl.h"

bool df_lower_is_compute(const df_dag *dag, int32_t element)
{
    return df_dag_kind_of(dag, element) == DF_DAG_COMPUTE;
}

bool df_lower_is_operators(const df_dag *dag, int32_t element)
{
    return df_dag_info_of(dag, element)->role == DF_LOWER_OPERATOR_COLLECTIVE;
}

int32_t *
df_lower_link_sources(df_arena *arena, df_lower_plan *plan, const int32_t *order, int32_t count)
{
    int32_t *const first = df_arena_numbers(arena, (size_t)plan->elements, -1);
    for (int32_t i = count - 1; first && i >= 0; i--) {
        const int32_t e = order ? order[i] : i;
        for (int32_t k = plan->first[e]; k < plan->first[e + 1]; k++) {
            df_lower_source *const source = &plan->sources.all[k];
            source->next = first[source->element];
            first[source->element] = k;
        }
    }
    return first;
}

df_status df_lower_fail_memory(df_err *err)
{
    return df_fail(err, DF_ENOMEM, "out of memory for the simulator's program");
}
