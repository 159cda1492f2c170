"""Writes down which files a run of setup.py reads, so that sagebuild can tell whether a recording of it still holds.

Python imports it at the start of each process, for its folder is the first of PYTHONPATH. Records go to the file
$SAGEBUILD_READS: a letter, a name, a NUL; each in one append, so that processes may share the file.
  b  a process began          r  a file was opened for reading, or tried    l  a folder was listed
  p  a Python was started     w  a file was opened for writing              x  another program was started
  s  a path was asked for: whether it exists                                X  one that reads files of its choice
  e  the project's own code asked for an environment variable; this alone is for people, and may lack some
Where it fails, it removes the file: then the recording is not kept. It never fails the run.
"""


def _listen(target, own_folder):
    import os
    import sys
    from functools import wraps

    seen = set()
    busy = set()  # threads that are in the hook, so that its own calls are not written down
    fsdecode, abspath, getpid = os.fsdecode, os.path.abspath, os.getpid
    get_ident = __import__("_thread").get_ident
    queries = {"--version", "--help", "-v", "-V", "-dumpversion", "-dumpfullversion", "-dumpmachine"}
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC

    def put(kind, name):
        if (kind, name) in seen:
            return
        seen.add((kind, name))
        record = (kind + name).encode("utf-8", "surrogateescape") + b"\0"
        file = os.open(target, flags, 0o600)
        try:
            if os.write(file, record) != len(record):
                raise OSError("short write")
        finally:
            os.close(file)

    def put_path(kind, path):
        if path is None:
            path = "."
        if isinstance(path, int):
            return
        path = abspath(fsdecode(path))
        folder, name = os.path.split(path)
        if kind == "r" and name.endswith(".pyc") and os.path.basename(folder) == "__pycache__":
            source = os.path.join(os.path.dirname(folder), name.split(".")[0] + ".py")
            if os.path.exists(source):  # Python looks at its time stamp alone
                path = source
        put(kind, path)

    def reads_files(name, words, cwd):
        """Compilers and their kin are known only as far as they tell of themselves. (A link is the stand-in's.)"""
        if name == "git":  # it finds nothing in the copy of the project
            here = os.getcwd()
            is_elsewhere = cwd is not None and os.path.commonpath([here, abspath(fsdecode(cwd))]) != here
            return is_elsewhere or any(word.startswith(("-C", "--git-dir", "--work-tree")) for word in words)
        if name in ("ninja", "uname", "which", "ldconfig") or "-shared" in words:
            return False
        return any(word not in queries and not word.startswith("-print-") for word in words)

    def put_program(program, argv, env, cwd=None):
        program = fsdecode(program)
        name = os.path.basename(program)
        words = [fsdecode(word) for word in argv] if isinstance(argv, (list, tuple)) else []
        if not name.startswith("python") and name != os.path.basename(sys.executable):
            put("X" if reads_files(name, words[1:], cwd) else "x", program)
            if name == "which":
                for folder in os.environ.get("PATH", "").split(os.pathsep):
                    for word in words[1:]:
                        put_path("s", os.path.join(folder, word))
            if name == "ldconfig":
                put_path("r", "/etc/ld.so.cache")
            return
        options = []
        for word in words[1:]:
            if not word.startswith("-"):
                break
            options.append(word)
        path = (os.environ if env is None else env).get("PYTHONPATH", "")
        listens = fsdecode(path).split(os.pathsep)[0] == own_folder
        if not listens or any(set(word[1:]) & set("IES") for word in options if not word.startswith("--")):
            put("x", program)
        else:
            put("p", str(getpid()))

    def on_event(event, args):
        if event == "open":
            path, mode, open_flags = args
            if isinstance(path, int):
                return
            writes = open_flags & (os.O_WRONLY | os.O_RDWR) if isinstance(open_flags, int) else 0
            if isinstance(mode, str):
                writes = writes or any(letter in mode for letter in "wax+")
            put_path("w" if writes else "r", path)
        elif event in ("os.listdir", "os.scandir"):
            put_path("l", args[0])
        elif event == "import" and args[1]:
            put_path("r", args[1])
        elif event == "ctypes.dlopen" and args[0] and "/" in fsdecode(args[0]):
            put_path("r", args[0])
        elif event in ("os.rename", "os.link", "os.symlink"):
            put_path("w", args[1])
        elif event == "subprocess.Popen":
            put_program(args[0] or args[1][0], args[1], args[3], args[2])
        elif event in ("os.exec", "os.posix_spawn"):
            put_program(args[0], args[1], args[2])
        elif event == "os.system":
            put("X", fsdecode(args[0]))

    watched = ("open", "import", "subprocess.Popen", "ctypes.dlopen")

    def guarded(note, *args):
        """Our own asking is not noted; where a note fails, there is no list."""
        thread = get_ident()
        if thread in busy:
            return
        busy.add(thread)
        try:
            note(*args)
        except BaseException:
            try:
                os.unlink(target)
            except BaseException:
                pass
        finally:
            busy.discard(thread)

    def hook(event, args):
        if event in watched or event.startswith("os."):
            guarded(on_event, event, args)

    def noting(call):
        """Audit hooks do not hear of these, on which os.path.exists and pathlib stand."""

        @wraps(call)
        def noted(path, *args, **options):
            if options.get("dir_fd") is None:
                guarded(put_path, "s", path)
            return call(path, *args, **options)

        for calls in (os.supports_dir_fd, os.supports_effective_ids, os.supports_fd, os.supports_follow_symlinks):
            if call in calls:
                calls.add(noted)
        return noted

    def watch_variables():
        kind = type(os.environ)
        plain_get, plain_copy = kind.__getitem__, kind.copy
        project = os.getcwd() + os.sep
        between = ("os.py", "_collections_abc.py", "<frozen os>", "<frozen _collections_abc>")

        def asked_by_project():
            frame = sys._getframe(2)
            while frame is not None and os.path.basename(frame.f_code.co_filename) in between:
                frame = frame.f_back
            name = "<nobody>" if frame is None else frame.f_code.co_filename
            is_file = not name.startswith("<")  # "<frozen posixpath>" is a module of Python's own
            return is_file and abspath(name).startswith(project) and "site-packages" not in name

        def get(self, key):
            thread = get_ident()
            if self is os.environ and isinstance(key, str) and thread not in busy:
                busy.add(thread)
                try:
                    if asked_by_project():
                        put("e", key)
                except BaseException:
                    pass
                finally:
                    busy.discard(thread)
            return plain_get(self, key)

        def copy(self):  # asks for none, though it reads all
            thread = get_ident()
            mine = thread not in busy
            busy.add(thread)
            try:
                return plain_copy(self)
            finally:
                if mine:
                    busy.discard(thread)

        kind.__getitem__, kind.copy = get, copy

    put("b", str(getpid()))
    watch_variables()
    for module in list(sys.modules.values()):  # those that were there before this
        for name in (getattr(module, "__file__", None), getattr(module, "__cached__", None)):
            if isinstance(name, str) and os.path.exists(name):
                put_path("r", name)
    for folder in sys.path:  # an import lists them once, and some are behind us
        if folder:
            put_path("l", folder)
    sys.addaudithook(hook)
    for name in ("stat", "lstat", "access"):
        setattr(os, name, noting(getattr(os, name)))


def _assume_gpus(capabilities):
    """torch.cuda tells of GPUs of these compute capabilities, wherever setup.py asks it."""
    import sys
    from importlib.machinery import PathFinder
    from types import SimpleNamespace

    def answer(cuda):
        def properties(device=None):
            if isinstance(device, str):
                device = int(device.partition(":")[2] or 0)
            elif device is not None and not isinstance(device, int):
                device = device.index
            major, minor = capabilities[device or 0]
            return SimpleNamespace(name=f"assumed GPU {major}.{minor}", major=major, minor=minor,
                                   total_memory=0, multi_processor_count=0)

        def capability(device=None):
            found = properties(device)
            return found.major, found.minor

        cuda.is_available = lambda: True
        cuda.device_count = lambda: len(capabilities)
        cuda.current_device = lambda: 0
        cuda.get_device_properties = properties
        cuda.get_device_capability = capability
        cuda.get_device_name = lambda device=None: properties(device).name

    class Finder:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name != "torch.cuda":
                return None
            spec = PathFinder.find_spec(name, path, target)
            if spec is not None:
                load = spec.loader.exec_module
                spec.loader.exec_module = lambda module: (load(module), answer(module))
            return spec

    sys.meta_path.insert(0, Finder)


def _start():
    import os
    import sys

    folder = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if not entry or os.path.abspath(entry) != folder]
    target = os.environ.get("SAGEBUILD_READS")
    if target:
        try:
            _listen(target, folder)
        except BaseException:
            try:
                os.unlink(target)
            except BaseException:
                pass
    gpus = os.environ.get("SAGEBUILD_GPUS")  # "8.9;12.0", where --assume-gpus was given
    if gpus:
        _assume_gpus([tuple(map(int, gpu.split("."))) for gpu in gpus.split(";")])
    # The sitecustomize that this one stands in front of.
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec

    spec = PathFinder.find_spec("sitecustomize", sys.path)
    if spec is None or spec.loader is None:
        return
    module = module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


_start()
