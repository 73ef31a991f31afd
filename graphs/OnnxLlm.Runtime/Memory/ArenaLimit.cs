using Microsoft.ML.OnnxRuntime;

namespace OnnxLlm.Runtime.Memory;

/// <summary>
/// One arena of limited size for all sessions that ask for it. The runtime keeps it for the life of the process, so the first limit is the only one.
/// </summary>
internal static class ArenaLimit
{
    private const int Default = -1;
    private static readonly Lock Gate = new();
    private static long _limit;

    public static void Apply(OrtEnv environment, SessionOptions options, long bytes)
    {
        if (bytes > uint.MaxValue) throw new ModelRuntimeException($"The runtime's binding limits memory to at most {uint.MaxValue} bytes, not to {bytes}.");
        lock (Gate)
        {
            if (_limit == 0) Register(environment, (uint)bytes);
            else if (_limit != bytes) throw new ModelRuntimeException($"Sessions of this process share memory of {_limit} bytes; it cannot be limited to {bytes} as well.");
        }
        options.AddSessionConfigEntry("session.use_env_allocators", "1");
    }

    private static void Register(OrtEnv environment, uint bytes)
    {
        using var place = new OrtMemoryInfo(OrtMemoryInfo.allocatorCPU, OrtAllocatorType.ArenaAllocator, 0, OrtMemType.Default);
        using var arena = new OrtArenaCfg(bytes, Default, Default, Default);
        environment.CreateAndRegisterAllocator(place, arena);
        _limit = bytes;
    }
}
