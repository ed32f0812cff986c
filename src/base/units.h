/* units.h: conversions. GB in the configuration files is 2^30 bytes. */
#ifndef DF_UNITS_H
#define DF_UNITS_H

#define DF_GB 1e9 /* unit of rates, as in data sheets */
#define DF_KIB 1024.0
#define DF_MIB (1024.0 * 1024.0)
#define DF_GIB (1024.0 * 1024.0 * 1024.0)
#define DF_TIB (1024.0 * 1024.0 * 1024.0 * 1024.0)
#define DF_BITS_PER_BYTE 8.0

#endif
