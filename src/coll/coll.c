#include "coll/coll.h"
