/* sweep.h: all strategies x layouts x starting points, over all ranks. */
#ifndef DF_SWEEP_H
#define DF_SWEEP_H
#include "dist/dist.h"
#include "store/store.h"
#endif
