#include "dist/dist.h"
