#include "config/cfg.h"
