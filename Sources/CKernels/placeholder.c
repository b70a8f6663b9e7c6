#include "ck_kernels.h"
