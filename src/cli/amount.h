/* amount.h: sizes and rates as people read them. Sizes in powers of 1024 say so (GiB); rates are
 * in powers of 1000 (GB/s), as data sheets have them. */
#ifndef DF_AMOUNT_H
#define DF_AMOUNT_H

enum { DF_AMOUNT = 32 };

/* "40 GiB"; returns text. */
const char *df_size_text(double bytes, char text[DF_AMOUNT]);
/* "1.99 TB/s"; returns text. */
const char *df_rate_text(double bytes_ps, char text[DF_AMOUNT]);

#endif
