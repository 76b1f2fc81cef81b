package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
)

//go:embed migrations
var migrations embed.FS

// migrate applies what is missing of the migrations in a folder and in code, each
// in a transaction of its own. The caller sees to it that no other process does the
// same.
func migrate(ctx context.Context, db *sql.DB, dialect goose.Dialect, folder string, inCode ...*goose.Migration) error {
	files, err := fs.Sub(migrations, "migrations/"+folder)
	if err != nil {
		return err
	}
	// The provider is not closed: that would close db.
	p, err := goose.NewProvider(dialect, db, files, goose.WithDisableGlobalRegistry(true), goose.WithGoMigrations(inCode...))
	if err != nil {
		return err
	}
	current, known, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read the schema's version: %w", err)
	}
	if current > known {
		return fmt.Errorf("its schema has version %d and this software knows versions up to %d: "+
			"start the version that wrote it, or a newer one", current, known)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("update the schema from version %d to %d: %w", current, known, err)
	}
	return nil
}
