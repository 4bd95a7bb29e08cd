# Manual pages, completions and the spec's schema: made by manual.py from what the program says of itself and from docs/. Without a
# Python they are left out, and that is said.

find_package(Python3 COMPONENTS Interpreter QUIET)
set(ko_manual ${PROJECT_BINARY_DIR}/manual)
if(TARGET knockout AND Python3_FOUND AND NOT CMAKE_CROSSCOMPILING AND NOT SKBUILD)
    add_custom_command(OUTPUT ${ko_manual}/spec.schema.json
        COMMAND ${Python3_EXECUTABLE} -B ${PROJECT_SOURCE_DIR}/cmake/manual.py $<TARGET_FILE:knockout> ${PROJECT_SOURCE_DIR} ${ko_manual}
        DEPENDS knockout cmake/manual.py docs/spec.md docs/cube.md VERSION
        WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} COMMENT "Making manual pages and completions" VERBATIM)
    add_custom_target(manual ALL DEPENDS ${ko_manual}/spec.schema.json)
    install(DIRECTORY ${ko_manual}/man/ DESTINATION ${CMAKE_INSTALL_MANDIR})
    install(FILES ${ko_manual}/completions/knockout.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME knockout)
    install(FILES ${ko_manual}/completions/_knockout DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
    install(FILES ${ko_manual}/completions/knockout.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
    install(FILES ${ko_manual}/spec.schema.json DESTINATION ${CMAKE_INSTALL_DATADIR}/knockout)
elseif(TARGET knockout AND NOT SKBUILD)
    message(STATUS "No Python 3 here: manual pages and completions are not made")
endif()

# `cmake --build BUILD --target site`: the documents as a web site, site/site/index.html. Takes a Python with mkdocs-material.
if(Python3_FOUND)
    add_custom_target(site COMMAND ${Python3_EXECUTABLE} -B ${PROJECT_SOURCE_DIR}/cmake/site.py ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR}/site
        WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} COMMENT "Making the web site of the documents" VERBATIM)
endif()
