#include "sweep/sweep.h"
