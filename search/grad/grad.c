#include "grad/grad.h"
