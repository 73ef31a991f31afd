using System.Runtime.InteropServices;

namespace OnnxLlm.Runtime.Devices;

/// <summary>Looks for shared libraries as the system's loader would. What was loaded once stays loaded: others have taken addresses from it.</summary>
internal static class NativeLibraries
{
    private static readonly Dictionary<string, nint> Loaded = [];
    private static readonly Lock Gate = new();

    /// <summary>0 where the loader does not find the library, or one that it needs.</summary>
    public static nint Find(string name)
    {
        lock (Gate)
        {
            if (Loaded.TryGetValue(name, out nint known)) return known;
            return Loaded[name] = NativeLibrary.TryLoad(name, out nint library) ? library : 0;
        }
    }

    /// <summary>The address of a function; 0 where library or function is missing.</summary>
    public static nint Function(string library, string name) =>
        Find(library) is var found and not 0 && NativeLibrary.TryGetExport(found, name, out nint address) ? address : 0;
}
