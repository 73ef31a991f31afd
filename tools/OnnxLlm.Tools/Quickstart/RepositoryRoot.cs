namespace OnnxLlm.Tools.Quickstart;

/// <summary>The folder of the solution, from which the commands of the README are typed.</summary>
internal static class RepositoryRoot
{
    public static string Find(string from)
    {
        for (var folder = new DirectoryInfo(from); folder is not null; folder = folder.Parent)
            if (File.Exists(Path.Combine(folder.FullName, "OnnxLlm.sln"))) return folder.FullName;
        throw new ToolException($"quickstart runs inside a clone of OnnxLlm; there is no OnnxLlm.sln in {from} or above it.");
    }

    /// <summary>A folder as one would type it in the root: relative where it lies below.</summary>
    public static string Relative(string root, string folder)
    {
        string relative = Path.GetRelativePath(root, folder).Replace('\\', '/');
        return relative.StartsWith("..", StringComparison.Ordinal) ? folder : relative;
    }
}
