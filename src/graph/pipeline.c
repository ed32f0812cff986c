#include "graph/pipeline.h"
