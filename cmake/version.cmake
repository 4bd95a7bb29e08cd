# ko_version.h with KO_VERSION and KO_COMMIT, looked at in every build, rewritten when they change.

set(ko_version_dir ${PROJECT_BINARY_DIR}/generated)
set(ko_version_command ${CMAKE_COMMAND} -DSOURCE_DIR=${PROJECT_SOURCE_DIR}
    -DHEADER=${ko_version_dir}/ko_version.h -P ${PROJECT_SOURCE_DIR}/cmake/write_version.cmake)

execute_process(COMMAND ${ko_version_command} COMMAND_ERROR_IS_FATAL ANY)
add_custom_target(ko_version_header COMMAND ${ko_version_command}
    BYPRODUCTS ${ko_version_dir}/ko_version.h COMMENT "Looking at version and commit" VERBATIM)

add_library(ko_version INTERFACE)
target_include_directories(ko_version INTERFACE ${ko_version_dir})
add_dependencies(ko_version ko_version_header)
