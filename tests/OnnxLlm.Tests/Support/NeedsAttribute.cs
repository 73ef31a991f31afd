namespace OnnxLlm.Tests.Support;

/// <summary>
/// A test that needs programs from elsewhere, and says so where it is skipped. Under ONNXLLM_ALL_TESTS, which CI sets, it is skipped only for programs that
/// .ci/programs could not install and CI therefore names in ONNXLLM_MISSING_PROGRAMS; for any other it runs, and fails.
/// </summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class NeedsAttribute : FactAttribute
{
    public NeedsAttribute(params string[] programs)
    {
        Programs = programs;
        Skip = Reason([.. programs.Where(program => InstalledProgram.Find(program) is null)], Environment.GetEnvironmentVariable);
    }

    public IReadOnlyList<string> Programs { get; }

    /// <summary>Why a test is skipped for which some programs are missing; null where it is not.</summary>
    /// <param name="variable">Reads the environment.</param>
    public static string? Reason(IReadOnlyList<string> missing, Func<string, string?> variable)
    {
        string[] known = (variable("ONNXLLM_MISSING_PROGRAMS") ?? "").Split(' ');
        if (missing.Count == 0 || (variable("ONNXLLM_ALL_TESTS") is not null && missing.Except(known).Any())) return null;
        return $"{string.Join(" and ", missing)} {(missing.Count == 1 ? "is" : "are")} not installed.";
    }
}
