# `cmake --install BUILD` and `cmake --build BUILD --target uninstall`. The documents, and what runs beside the program, lie as in
# the sources, so that the documents' links lead somewhere:
#   share/doc/knockout   README.md and its like, docs/, and jobs and analysis, links to
#   share/man, share/bash-completion, share/zsh, share/fish: manual.cmake
#   share/knockout       spec.schema.json, modulefiles/ (for Environment Modules and Lmod), jobs/ (the demo's spec, facts and models; specs of the paper), slurm/, analysis/, and docs, a link to the above

# What the installation creates is noted first, for `uninstall`: a folder that was there before stays.
install(CODE "
    set(noted \"${PROJECT_BINARY_DIR}/install_folders.txt\")
    foreach(folder \"${CMAKE_INSTALL_BINDIR}\" \"${CMAKE_INSTALL_DATADIR}\" \"${CMAKE_INSTALL_DOCDIR}\" \"${CMAKE_INSTALL_MANDIR}/man1\"
            \"${CMAKE_INSTALL_MANDIR}/man5\" \"${CMAKE_INSTALL_DATADIR}/bash-completion/completions\"
            \"${CMAKE_INSTALL_DATADIR}/zsh/site-functions\" \"${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d\")
        get_filename_component(folder \"\${folder}\" ABSOLUTE BASE_DIR \"\${CMAKE_INSTALL_PREFIX}\")
        # Up to the root, which DESTDIR, the folder of a package being made, need not have yet.
        while(NOT IS_DIRECTORY \"\$ENV{DESTDIR}\${folder}\" AND NOT folder STREQUAL \"/\")
            file(APPEND \"\${noted}\" \"\${folder}\\n\")
            get_filename_component(folder \"\${folder}\" DIRECTORY)
        endwhile()
    endforeach()")

include(manual)
if(TARGET knockout)
    install(TARGETS knockout RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT program)
endif()
install(FILES README.md LICENSE CITATION.cff CHANGELOG.md DATA.md THIRD_PARTY.md SECURITY.md ARCHITECTURE.md CONTRIBUTING.md
    DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DOCDIR})
# Without what Python and `pip install ./analysis` leave there, and without the scripts that build from the sources.
install(DIRECTORY analysis slurm DESTINATION ${CMAKE_INSTALL_DATADIR}/knockout USE_SOURCE_PERMISSIONS
    PATTERN "__pycache__" EXCLUDE PATTERN "*_cache" EXCLUDE PATTERN "*.egg-info" EXCLUDE PATTERN "analysis/build" EXCLUDE)
install(FILES cmake/recipes/modulefile DESTINATION ${CMAKE_INSTALL_DATADIR}/knockout/modulefiles/knockout RENAME ${PROJECT_VERSION})
install(DIRECTORY jobs DESTINATION ${CMAKE_INSTALL_DATADIR}/knockout PATTERN "*.sh" EXCLUDE)

# ko_install_link(LINK TARGET), absolute: a symbolic link by a relative path.
function(ko_install_link link target)
    install(CODE "
        get_filename_component(link \"${link}\" ABSOLUTE BASE_DIR \"\${CMAKE_INSTALL_PREFIX}\")
        get_filename_component(target \"${target}\" ABSOLUTE BASE_DIR \"\${CMAKE_INSTALL_PREFIX}\")
        get_filename_component(folder \"\${link}\" DIRECTORY)
        file(RELATIVE_PATH target \"\${folder}\" \"\${target}\")
        file(MAKE_DIRECTORY \"\$ENV{DESTDIR}\${folder}\")
        file(CREATE_LINK \"\${target}\" \"\$ENV{DESTDIR}\${link}\" SYMBOLIC)
        list(APPEND CMAKE_INSTALL_MANIFEST_FILES \"\${link}\")
        message(STATUS \"Installing: \$ENV{DESTDIR}\${link}\")")
endfunction()
ko_install_link(${CMAKE_INSTALL_DOCDIR}/jobs ${CMAKE_INSTALL_DATADIR}/knockout/jobs)
ko_install_link(${CMAKE_INSTALL_DOCDIR}/analysis ${CMAKE_INSTALL_DATADIR}/knockout/analysis)
ko_install_link(${CMAKE_INSTALL_DATADIR}/knockout/docs ${CMAKE_INSTALL_DOCDIR}/docs)
# The command that draws finds its package beside what the link names.
ko_install_link(${CMAKE_INSTALL_BINDIR}/knockout-figures ${CMAKE_INSTALL_DATADIR}/knockout/analysis/knockout-figures)

include(package)

add_custom_target(uninstall
    COMMAND ${CMAKE_COMMAND} -DMANIFEST=${PROJECT_BINARY_DIR}/install_manifest.txt
        -DFOLDERS=${PROJECT_BINARY_DIR}/install_folders.txt -P ${PROJECT_SOURCE_DIR}/cmake/uninstall.cmake
    COMMENT "Removing what was installed" VERBATIM)
