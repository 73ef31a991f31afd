using System.Collections.Immutable;
using System.Globalization;

namespace OnnxLlm.Tools.Quickstart;

/// <summary>One step of quickstart: a command that a user could type.</summary>
internal sealed record QuickstartStep(string Title, CommandLine Command)
{
    /// <summary>What is there already, where the command itself could not tell; null for a command that must run.</summary>
    public string? UpToDate { get; init; }
}

/// <summary>The commands of quickstart, in order, as of what is done already; all paths are relative to the folder that they are typed in.</summary>
/// <param name="Root">That folder: the root of the repository.</param>
/// <param name="Port">Where the server listens.</param>
/// <param name="Out">Folder for data, runs and models.</param>
internal abstract record QuickstartPlan(string Root, int Port, string Out)
{
    protected const string Tools = "tools/OnnxLlm.Tools", Training = "training/OnnxLlm.Training", Serving = "serving/OnnxLlm.Serving";

    public Uri Server => new($"http://127.0.0.1:{Port.ToString(CultureInfo.InvariantCulture)}");

    public abstract Question Question { get; }

    public abstract ImmutableArray<QuickstartStep> Steps { get; }

    /// <summary>The server's log goes to a file, so that the answer can be read.</summary>
    public QuickstartStep Serve => new(
        "Server", CommandLine.Project(Serving, "--model", Served, "--urls", Server.ToString().TrimEnd('/')) with { Output = $"{Logs}/server.log" });

    /// <summary>The package that is served.</summary>
    protected abstract string Served { get; }

    /// <summary>Folder for the server's log.</summary>
    protected abstract string Logs { get; }

    protected string At(string path) => Out == "." ? path : $"{Out.TrimEnd('/')}/{path}";

    /// <summary>What <c>npm ci</c> installed in a folder of the repository, where its lock file has not changed since; otherwise null.</summary>
    protected string? Installed(string folder)
    {
        string modules = Path.Combine(folder, "node_modules");
        FileInfo wanted = new(Path.Combine(Root, folder, "package-lock.json")), there = new(Path.Combine(Root, modules, ".package-lock.json"));
        return there.Exists && there.LastWriteTimeUtc >= wanted.LastWriteTimeUtc ? modules.Replace('\\', '/') : null;
    }
}
