/*
 * commands.h - the commands of pbt_lineage.  Each takes the words behind its own name,
 * prints to standard output or writes what it was asked for, and returns one status.
 */
#ifndef PBT_TOOLS_COMMANDS_H
#define PBT_TOOLS_COMMANDS_H

#include "base/status.h"

pbt_status command_summary(int n_word, char *word[]);
pbt_status command_best(int n_word, char *word[]);
pbt_status command_tree(int n_word, char *word[]);
pbt_status command_compare(int n_word, char *word[]);
pbt_status command_export(int n_word, char *word[]);
pbt_status command_report(int n_word, char *word[]);
pbt_status command_plot(int n_word, char *word[]);
pbt_status command_check(int n_word, char *word[]);
pbt_status command_follow(int n_word, char *word[]);

#endif
