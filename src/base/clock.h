/* clock.h: elapsed time. */
#ifndef DF_CLOCK_H
#define DF_CLOCK_H

/* Seconds since some fixed moment; never goes back. */
double df_clock_s(void);

#endif
