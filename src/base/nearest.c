#include "base/nearest.h"
