/* pictures.h: what a prediction of an LLM is made of, as files for people: its graphs as PNG, its
 * operators as text. */
#ifndef DF_PICTURES_H
#define DF_PICTURES_H
#include "predict/predict.h"

/* Writes *DIR/WHERE/NAME.png and *DIR/WHERE/operators.txt. dir is borrowed. */
df_llm_watch df_cli_pictures(const char **dir);

#endif
