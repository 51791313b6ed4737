/* jem.h: joint energy models. Includes the whole public API.

   A classifier's logits f(x) are also an energy model (Grathwohl et al. 2019,
   arXiv 1912.03263): E(x) = -logsumexp f(x). One network classifies, knows how
   likely an input is, and draws samples.

     #include <jem.h>
     #include <stdio.h>

     int main(int argc, char **argv)
     {
         jem_context *context = NULL;
         jem_model *model = NULL;
         float x[28 * 28], logits[10], energy;
         static uint8_t pixels[28 * 28];   // your image

         if (argc != 2 || jem_context_create(&context, NULL) ||
             jem_model_load(&model, context, argv[1]) ||
             jem_model_prepare(model, pixels, 28, 28, 28, JEM_PIXEL_GREY8, 0, x, 28 * 28) ||
             jem_model_logits(model, x, 1, logits, 10) ||
             jem_model_energy(model, x, NULL, 1, &energy)) {
             char text[256];
             jem_last_error(text, sizeof text);
             fprintf(stderr, "%s\n", text);
             return 1;
         }
         printf("log p(x) = %g + constant\n", -energy);
         jem_model_destroy(model);
         jem_context_destroy(context);
         return 0;
     }

   Arguments. What a call makes comes first, then what it works on, inputs and their
   counts, options; what it writes comes last, but the path of a file to write is an
   input like others. Arrays are the caller's, contiguous, and are not kept beyond the
   call (jem_pass_forward's x excepted). Where a model, a dataset or a setting decides
   how many elements are written, the array is followed by its capacity in elements:
   too little is JEM_ERROR_SHAPE, and the text says what is needed.

   Results. A negative number that any function returns is a jem_status, a failure,
   whose reason is in jem_last_error(), per thread. On failure handles are NULL and
   arrays unspecified, but never written past their capacity. Nothing here aborts,
   exits or prints.

   Texts are UTF-8. A text comes as (buffer, capacity): at most capacity bytes are
   written, always terminated; the result is the length of the whole text without its
   terminator, or negative. With buffer NULL only the length is returned. A const char *
   that comes back is static, or lives as long as is said there.

   Handles. _destroy takes NULL. Handles hold references to what they are made of, so
   they may be destroyed in any order and from any thread, as garbage collectors do,
   also inside callbacks: but not while a call that was given the handle runs.

   Threads.

     handle                       one at a time      shared by threads
     jem_context, jem_dataset                        yes
     jem_model                    calls that write   calls that read
     jem_pass, jem_loader         yes
     jem_sampler, jem_trainer     yes                _cancel
     jem_optimizer, jem_network   yes
     jem_config                   calls that write   calls that read, _create of others
     jem_array                                       yes */
#ifndef JEM_H
#define JEM_H

#include <jem/array.h>
#include <jem/config.h>
#include <jem/context.h>
#include <jem/dataset.h>
#include <jem/eval.h>
#include <jem/loader.h>
#include <jem/loss.h>
#include <jem/model.h>
#include <jem/network.h>
#include <jem/optimizer.h>
#include <jem/pass.h>
#include <jem/sampler.h>
#include <jem/starts.h>
#include <jem/status.h>
#include <jem/trainer.h>

#endif
