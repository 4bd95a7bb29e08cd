# `cmake --preset package && cmake --build --preset package`: a Debian package (CPack), build/package/knockout_VERSION_ARCH.deb, with
# the program, documents, manual pages, completions, demo models and analysis/. dpkg-shlibdeps finds the libraries that it depends on.

set(KNOCKOUT_PYTHON_FOLDER "" CACHE STRING "where the system's Python looks for modules, relative to the prefix: links to the Python packages")
if(KNOCKOUT_PYTHON_FOLDER)
    foreach(package knockout knockout_figures)
        ko_install_link(${CMAKE_INSTALL_PREFIX}/${KNOCKOUT_PYTHON_FOLDER}/${package}
            ${CMAKE_INSTALL_FULL_DATADIR}/knockout/analysis/${package})
    endforeach()
endif()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME knockout)
set(CPACK_PACKAGE_CONTACT "the maintainers of knockout <knockout@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY ${PROJECT_DESCRIPTION})
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION " Removes edges between tokens, single heads or whole sublayers of language models in windows of layers,
 and measures how the probability of the answer changes. Writes one HDF5 file.")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "openmpi-bin, libopenblas0-openmp")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "python3-numpy, python3-h5py, python3-matplotlib, python3-pandas, python3-xarray, python3-tqdm")
include(CPack)
