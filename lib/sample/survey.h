/* The images of a data set, class by class, and their means. */
#ifndef JEM__SAMPLE_SURVEY_H
#define JEM__SAMPLE_SURVEY_H

#include <jem/dataset.h>

typedef struct jem__survey {
    int64_t n, image, classes;
    int32_t *labels;  /* [n] */
    int64_t *members; /* [n]: image numbers, class by class */
    int64_t *begin;   /* [classes + 1]: where each class begins in members */
    float *mean;      /* [classes,image] */
} jem__survey;

/* `function` stands in error texts. SHAPE (a label outside the classes), STATE (a class
   without images). The survey is to be cleared also after a failure. */
jem_status jem__survey_of(jem__survey *survey, const char *function, jem_dataset *data,
                          int64_t image, int64_t classes);
void jem__survey_clear(jem__survey *survey);

#endif
