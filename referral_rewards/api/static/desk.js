// What the desk adds in a browser that runs scripts. Everything can be done without it.
"use strict";
