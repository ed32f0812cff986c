/* commands.h: one function per subcommand. argv starts after the subcommand's name;
 * the result is the process exit code. main.c holds the table. The searches and report are in
 * deepflow-search (main_search.c), import-hf is in deepflow-import (main_import.c); in deepflow
 * their functions start those (companion.c). */
#ifndef DF_COMMANDS_H
#define DF_COMMANDS_H

int df_cmd_predict(int argc, char **argv);
int df_cmd_stand_alone(int argc, char **argv);
int df_cmd_device(int argc, char **argv);
int df_cmd_model(int argc, char **argv);
int df_cmd_list(int argc, char **argv);
int df_cmd_gemm(int argc, char **argv);
int df_cmd_strategies(int argc, char **argv);
int df_cmd_validate(int argc, char **argv);
int df_cmd_gd_search(int argc, char **argv);
int df_cmd_arch_search(int argc, char **argv);
int df_cmd_calibrate(int argc, char **argv);
int df_cmd_report(int argc, char **argv);
int df_cmd_query(int argc, char **argv);
int df_cmd_top(int argc, char **argv);
int df_cmd_merge(int argc, char **argv);
int df_cmd_astra(int argc, char **argv);
int df_cmd_help_devices(void);
int df_cmd_help_profiles(void); /* the device files that come with the program */
int df_cmd_help_search(void);   /* the table of descriptions of searches */
int df_cmd_import_hf(int argc, char **argv);

#endif
