# Script: writes HEADER from SOURCE_DIR/VERSION and the commit that is checked out there ("unknown"
# without git or outside a clone).

file(STRINGS ${SOURCE_DIR}/VERSION version LIMIT_COUNT 1)
set(commit unknown)
if(EXISTS ${SOURCE_DIR}/.git)
    execute_process(COMMAND git describe --always --dirty --abbrev=12 --exclude=*
        WORKING_DIRECTORY ${SOURCE_DIR} OUTPUT_VARIABLE found OUTPUT_STRIP_TRAILING_WHITESPACE
        RESULT_VARIABLE result ERROR_QUIET)
    if(result EQUAL 0 AND NOT found STREQUAL "")
        set(commit ${found})
    endif()
endif()

file(CONFIGURE OUTPUT ${HEADER} @ONLY CONTENT [[
/* Generated from VERSION and the commit that was built. */
#ifndef KO_VERSION_H
#define KO_VERSION_H

#define KO_VERSION "@version@"
#define KO_COMMIT  "@commit@"

#endif
]])
