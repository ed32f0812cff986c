#include "strategy/strategy.h"
