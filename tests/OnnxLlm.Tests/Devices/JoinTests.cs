using System.Diagnostics;
using System.Formats.Tar;
using System.Security.Cryptography;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Devices;

/// <summary>tests/gpu/join.sh on machines that lack one program or another. The parts here are not compressed: what stands for xz or Python passes them on.</summary>
public sealed class JoinTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    private readonly string _folder = Directory.CreateTempSubdirectory("join-").FullName;

    public JoinTests()
    {
        File.Copy(Repository.PathOf("tests", "gpu", "join.sh"), PathOf("join.sh"));
        string content = Directory.CreateDirectory(PathOf("content/app")).FullName;
        File.WriteAllText(Path.Combine(content, "program"), "works");
        TarFile.CreateFromDirectory(PathOf("content"), PathOf("app.tar.xz.000"), includeBaseDirectory: false);
        File.WriteAllText(PathOf("parts.sha256"), $"{Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(PathOf("app.tar.xz.000"))))}  app.tar.xz.000\n");
        Directory.CreateDirectory(PathOf("bin"));
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("xz")]
    [InlineData("python3")]
    public void Join_WithXzOrPython_MakesTheFolder(string program)
    {
        if (!OperatingSystem.IsLinux()) return;
        Provide("sha256sum", "tar");
        File.WriteAllText(PathOf($"bin/{program}"), "#!/bin/sh\ncase \"$2\" in 'import lzma') exit 0;; esac\nexec cat\n");
        File.SetUnixFileMode(PathOf($"bin/{program}"), UnixFileMode.UserRead | UnixFileMode.UserExecute);
        var (code, error) = Join();
        Assert.Equal((0, ""), (code, error));
        Assert.Equal("works", File.ReadAllText(PathOf("app/program")));
    }

    [Fact]
    public void Join_WithNeither_SaysSoInOneLine()
    {
        if (!OperatingSystem.IsLinux()) return;
        Provide("sha256sum", "tar");
        Assert.Equal((2, "error: neither xz nor a python3 with lzma is on this machine; join the parts on another one and bring the folder app\n"), Join());
    }

    [Fact]
    public void Join_WithoutTar_NamesIt()
    {
        if (!OperatingSystem.IsLinux()) return;
        Provide("sha256sum");
        Assert.Equal((2, "error: tar is not on this machine; join the parts on another one and bring the folder app\n"), Join());
    }

    private string PathOf(string name) => Path.Combine(_folder, name);

    /// <summary>The machine has these, and what every shell script needs.</summary>
    private void Provide(params string[] programs)
    {
        foreach (string program in (string[])[.. programs, "dirname", "rm", "mkdir", "cat", "mv", "rmdir"])
            File.CreateSymbolicLink(PathOf($"bin/{program}"), Path.Combine("/usr/bin", program));
    }

    private (int Code, string Error) Join()
    {
        var start = new ProcessStartInfo("/bin/bash", [PathOf("join.sh")]) { RedirectStandardError = true };
        start.Environment["PATH"] = PathOf("bin");
        using var join = Process.Start(start)!;
        string error = join.StandardError.ReadToEnd();
        Assert.True(join.WaitForExit(Patience), error);
        return (join.ExitCode, error);
    }
}
