#include "mem/footprint.h"
