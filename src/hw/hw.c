#include "hw/hw.h"
