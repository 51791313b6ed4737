/* Networks that a user puts together, and their text form. */
#ifndef JEM__MODEL_NETWORK_H
#define JEM__MODEL_NETWORK_H

#include "model/graph.h"
#include <jem/network.h>

/* Adds the operator of one statement of length bytes. */
jem_status jem__network_statement(jem__graph *g, const char *text, size_t length, float momentum);
/* Every value but the last is read. */
jem_status jem__network_check_used(const jem__graph *g);

#endif
